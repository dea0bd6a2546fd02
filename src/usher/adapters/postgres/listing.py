"""The statement that lists meetings: each filter is written into it only where it is asked for.

So the planner sees which of the indexes fits. States and platforms are literals, because a partial index is found by
them alone; the number of different statements stays small.
"""

from usher.adapters.postgres.rows import MEETING_COLUMNS, literals, sql
from usher.ports import Page

_LIST = sql(
    """
SELECT <columns> FROM meetings m
WHERE <conditions>
ORDER BY <order> LIMIT $1
""",
    columns=MEETING_COLUMNS,
)

# Two meetings may have been created in the other order than they got their ids.
_OLDER = (
    "(m.created_at, m.id) < ((SELECT c.created_at FROM meetings c WHERE c.id = <before> AND c.user_id = $2), <before>)"
)


def listing(user_id: int | None, page: Page) -> tuple[str, list[object]]:
    """Return the statement for a page, and its arguments; without a user it is a page of everybody's, by id."""
    conditions = ["true"] if user_id is None else ["m.user_id = $2"]
    order = "m.id DESC" if user_id is None else "m.created_at DESC, m.id DESC"
    arguments: list[object] = [page.limit] if user_id is None else [page.limit, user_id]

    def put(value: object, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    if page.before_id is not None:
        older = "m.id < <before>" if user_id is None else _OLDER
        conditions.append(sql(older, before=put(page.before_id, "bigint")))
    if page.states is not None:
        conditions.append(f"m.status IN ({literals(page.states)})" if page.states else "false")
    if page.platform is not None:
        conditions.append(f"m.platform = '{page.platform.value}'")
    if page.native_id is not None:
        conditions.append(f"m.platform_specific_id = {put(page.native_id, 'text')} AND m.redacted_at IS NULL")
    if page.since is not None:
        conditions.append(f"m.created_at >= {put(page.since, 'timestamptz')}")
    if page.until is not None:
        conditions.append(f"m.created_at < {put(page.until, 'timestamptz')}")
    return sql(_LIST, conditions=" AND ".join(conditions), order=order), arguments
