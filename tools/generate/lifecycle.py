"""The page of the lifecycle, made from `usher.domain`: words, table, and diagram."""

from collections.abc import Mapping

from tools.generate.diagram import diagram
from tools.generate.markdown import code, generated_by, page, table
from usher.domain.captions import EFFECT_CAPTION, EVENT_CAPTION, REASON_CAPTION, SOURCE_CAPTION, STATE_CAPTION
from usher.domain.lifecycle import (
    ACCEPTS_CONFIGURATION,
    COUNTED,
    HAS_WORKLOAD,
    IN_MEETING,
    LAUNCHING,
    LEASED,
    LIVE,
    TABLE,
    TERMINAL,
    TRANSIENT,
    WAITING,
    Effect,
    Event,
    Source,
    State,
    Transition,
)
from usher.domain.policy import Deadlines

_SETS: Mapping[str, tuple[frozenset[State], str]] = {
    "LIVE": (LIVE, "The meeting is still going on: it holds its user's place in that call."),
    "TERMINAL": (TERMINAL, "Never left."),
    "COUNTED": (COUNTED, "Uses one of the user's `max_concurrent_bots`."),
    "HAS_WORKLOAD": (HAS_WORKLOAD, "Something of the current attempt may be running."),
    "LAUNCHING": (LAUNCHING, "The launcher is still to be called, or is being called."),
    "WAITING": (WAITING, "A bot is under way but not yet in the meeting."),
    "IN_MEETING": (IN_MEETING, "The bot is in the meeting."),
    "ACCEPTS_CONFIGURATION": (ACCEPTS_CONFIGURATION, "The configuration of the bot may be changed."),
    "LEASED": (LEASED, "A bot that has reported once must go on reporting."),
}
_UNITS = ((3600, "h"), (60, "min"))


def lifecycle_page() -> str:
    """Return the page."""
    return page(
        generated_by("`src/usher/domain/lifecycle.py`, `captions.py` and `policy.py`"),
        "# Lifecycle of a meeting",
        "One table says which event moves a meeting from which state to which, who may report it, and what the "
        "change owes the world. This page is made from that table; so are the keys that hold the database to it.",
        "## Diagram",
        "What can happen in every state of a box is drawn from the box. An event that changes nothing but the deadline "
        "is left out.",
        f"```mermaid\n{diagram()}\n```",
        "## States",
        "The time is how long a meeting may stay in the state by default; when it has passed, the reconciler reports "
        "`deadline_passed`.",
        table(["state", "meaning", "longest stay", "then"], map(_state, State)),
        "### Sets of states",
        "Code does not compare states; it asks one of these sets.",
        table(
            ["set", "meaning", "states"],
            [[f"`{name}`", why, code(_ordered(states))] for name, (states, why) in _SETS.items()],
        ),
        "## Events",
        table(["event", "meaning", "reported by"], map(_event, Event)),
        "### Who reports",
        table(["source", "who it is"], [[f"`{source}`", SOURCE_CAPTION[source]] for source in Source]),
        "## Transitions",
        "An event that has no row for the present state changes nothing: old news is answered like a success, a "
        "contradiction is refused. What is reported about an attempt that is over is old news, too.",
        table(["event", "from", "to", "reported by", "effects"], _transitions()),
        "## Effects",
        "Effects are written in the transaction of the change and run after it, at least once.",
        table(["effect", "what it does"], [[f"`{effect}`", EFFECT_CAPTION[effect]] for effect in Effect]),
        "## Reasons",
        "A state says where a meeting is; the reason says why. After a transient reason another attempt is made while "
        "attempts are left. More words may be added: expect unknown ones.",
        table(
            ["reason", "meaning", "transient"],
            [[f"`{word}`", caption, "yes" if word in TRANSIENT else "no"] for word, caption in REASON_CAPTION.items()],
        ),
    )


def _ordered(states: frozenset[State]) -> list[State]:
    return [state for state in State if state in states]


def _state(state: State) -> list[str]:
    row = next((r for r in TABLE if r.from_state is state and r.event is Event.DEADLINE_PASSED), None)
    if row is None:
        return [f"`{state}`", STATE_CAPTION[state], "for ever", "-"]
    seconds: float | None = getattr(Deadlines(), f"{state}_s", None)
    stay = "until shortly before it is to join" if seconds is None else _duration(seconds)
    return [f"`{state}`", STATE_CAPTION[state], stay, f"`{row.to_state}`"]


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _event(event: Event) -> list[str]:
    sources = {source for row in TABLE if row.event is event for source in row.by}
    return [f"`{event}`", EVENT_CAPTION[event], code(source for source in Source if source in sources)]


def _transitions() -> list[list[str]]:
    """Return one line for all states from which an event does the same."""
    groups: dict[tuple[Event, State, frozenset[Source], tuple[Effect, ...]], list[Transition]] = {}
    for row in TABLE:
        groups.setdefault((row.event, row.to_state, row.by, row.effects), []).append(row)
    return [
        [
            f"`{event}`",
            code(row.from_state for row in rows if row.from_state) if rows[0].from_state else "nothing",
            f"`{to_state}`",
            code(source for source in Source if source in by),
            code(effects),
        ]
        for (event, to_state, by, effects), rows in groups.items()
    ]
