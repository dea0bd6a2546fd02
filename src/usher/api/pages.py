"""Ids, and lists that are given out page by page, newest first."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Path, Query

MOST_ID = 2**63 - 1
"""Of PostgreSQL's `bigint`."""

Id = Annotated[int, Path(ge=1, le=MOST_ID)]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]

Row = TypeVar("Row")


def page_of(found: Sequence[Row], limit: int, id_of: Callable[[Row], int]) -> tuple[Sequence[Row], int | None]:
    """Return what to show of up to `limit + 1` rows, and the id before which the next page begins, if there is one."""
    shown = found[:limit]
    return shown, id_of(shown[-1]) if len(found) > limit else None
