"""Controlled conditions: what is drawn by chance is drawn from a seed, and the log becomes a part of the story."""

import logging
import random
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from tests.explorer.chronicle import Chronicle
from tests.explorer.faults import now_s
from tests.explorer.processes import current
from tests.explorer.scripts import ScriptedCrash


@contextmanager
def controlled(seed: int, chronicle: Chronicle) -> Iterator[None]:
    """Let a run depend on its seed alone, and note what is logged; everything is as before afterwards."""
    chance, make_uuid, state, logged = random.Random(seed + 2), uuid.uuid4, random.getstate(), structlog.get_config()
    random.seed(seed)
    uuid.uuid4 = lambda: uuid.UUID(int=chance.getrandbits(128), version=4)
    _listen(chronicle)
    try:
        yield
    finally:
        structlog.configure(**logged)
        uuid.uuid4 = make_uuid
        random.setstate(state)


def _listen(chronicle: Chronicle) -> None:
    """Take errors in the log for bugs, and, for a story, everything in it for a part of the story."""

    def take(_logger: Any, method: str, event: Any) -> Any:
        process = current()
        meeting_id = event.get("meeting_id")
        name = event.pop("event")
        error = event.get("exc_info")
        if error and not isinstance(error, ScriptedCrash):
            chronicle.bugs.append(f"{name} {event} {sys.exc_info()[1]!r}")
        chronicle.note(now_s(), process.name if process else "-", f"log {method}: {name} {event}", meeting_id)
        raise structlog.DropEvent

    level = logging.INFO if chronicle.told else logging.ERROR
    structlog.configure(processors=[take], wrapper_class=structlog.make_filtering_bound_logger(level))
