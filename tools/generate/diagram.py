"""The state diagram in Mermaid, made from the table of transitions."""

from collections.abc import Mapping

from usher.domain.lifecycle import IN_MEETING, TABLE, TERMINAL, WAITING, State, Transition

_BOXES: Mapping[str, tuple[str, frozenset[State]]] = {
    "on_the_way": ("on the way", WAITING),
    "in_the_meeting": ("in the meeting", IN_MEETING),
}
_BORN = "born"


def diagram() -> str:
    """Return the diagram: boxes of states, and one arrow for all events that lead from one place to another."""
    lines = ["flowchart TD", f"    {_BORN}(( ))"]
    for box, (title, members) in _BOXES.items():
        inside = [f"        {_node(state)}" for state in State if state in members]
        lines += [f'    subgraph {box}["{title}"]', *inside, "    end"]
    boxed = frozenset[State]().union(*(members for _, members in _BOXES.values()))
    lines += [f"    {_node(state)}" for state in State if state not in boxed]
    for (tail, head), events in _arrows().items():
        lines.append(f'    {tail} -- "{"<br/>".join(events)}" --> {head}')
    lines += [
        "    classDef over stroke-width:3px",
        f"    class {','.join(state for state in State if state in TERMINAL)} over",
    ]
    return "\n".join(lines)


def _node(state: State) -> str:
    return f'{state}("{state}")' if state not in TERMINAL else f'{state}(["{state}"])'


def _arrows() -> dict[tuple[str, str], list[str]]:
    """Group the transitions by where they are drawn from and to, in the order of the table."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in TABLE:
        if row.from_state is row.to_state:
            continue
        events = arrows.setdefault((_tail(row), row.to_state), [])
        if row.event not in events:
            events.append(row.event)
    return arrows


def _tail(row: Transition) -> str:
    """Return what a transition is drawn from: a box, if every state in it goes the same way and none stays inside."""
    if row.from_state is None:
        return _BORN
    for box, (_, members) in _BOXES.items():
        if row.from_state in members and row.to_state not in members and _goes_for_all(row, members):
            return box
    return row.from_state


def _goes_for_all(row: Transition, members: frozenset[State]) -> bool:
    same = {other.from_state for other in TABLE if other.event is row.event and other.to_state is row.to_state}
    return members <= same
