"""The life of a meeting: one table, and one total function that reads it.

Everything else that speaks of states is made from this table: the rows and keys that hold the database to it, the
OpenAPI enum, the diagram in the docs, metric labels, the state sets below and the test matrix. Nothing outside this
module compares a state except through its sets.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a meeting is in its life."""

    SCHEDULED = "scheduled"
    REQUESTED = "requested"
    STARTING = "starting"
    JOINING = "joining"
    AWAITING_ADMISSION = "awaiting_admission"
    ACTIVE = "active"
    RECONFIGURING = "reconfiguring"
    STOPPING = "stopping"
    ERROR = "error"
    COMPLETED = "completed"
    FAILED = "failed"


class Event(StrEnum):
    """A fact that may move a meeting to another state."""

    SCHEDULED = "scheduled"
    REQUESTED = "requested"
    LAUNCH_BEGUN = "launch_begun"
    ROOM_AWAITED = "room_awaited"
    LAUNCH_FAILED = "launch_failed"
    JOINING_BEGUN = "joining_begun"
    HELP_WANTED = "help_wanted"
    LOBBY_ENTERED = "lobby_entered"
    ADMITTED = "admitted"
    CONFIGURATION_REQUESTED = "configuration_requested"
    CONFIGURATION_APPLIED = "configuration_applied"
    CONFIGURATION_REFUSED = "configuration_refused"
    STOP_REQUESTED = "stop_requested"
    LEFT = "left"
    NOT_ADMITTED = "not_admitted"
    CRASHED = "crashed"
    WORKLOAD_VANISHED = "workload_vanished"
    LEASE_EXPIRED = "lease_expired"
    TERMINATED = "terminated"
    STOP_FAILED = "stop_failed"
    DEADLINE_PASSED = "deadline_passed"
    MISSED = "missed"
    RETRY_GRANTED = "retry_granted"
    STOP_FINISHED = "stop_finished"
    GAVE_UP = "gave_up"


class Source(StrEnum):
    """Who reports an event."""

    USER = "user"
    BOT = "bot"
    DISPATCHER = "dispatcher"
    RECONCILER = "reconciler"


class Effect(StrEnum):
    """Work that a committed transition owes the world.

    `notify` stands in no row of the table: every transition owes it to a user who has a webhook.
    """

    LAUNCH = "launch"
    SEND_COMMAND = "send_command"
    TERMINATE = "terminate"
    TERMINATE_AFTER_GRACE = "terminate_after_grace"
    CLEAN_UP = "clean_up"
    FINISH_MEETING = "finish_meeting"
    NOTIFY = "notify"


class Reason(StrEnum):
    """Why a meeting ended, or why an attempt did not work. An open set: expect new words."""

    STOPPED = "stopped"
    MEETING_ENDED = "meeting_ended"
    LEFT_ALONE = "left_alone"
    NO_ONE_JOINED = "no_one_joined"
    EVICTED = "evicted"
    REJECTED = "rejected"
    ADMISSION_TIMEOUT = "admission_timeout"
    JOIN_FAILED = "join_failed"
    MEETING_NOT_FOUND = "meeting_not_found"
    NOT_STARTED = "not_started"
    PASSCODE_WRONG = "passcode_wrong"
    SIGN_IN_REQUIRED = "sign_in_required"
    CAPTCHA = "captcha"
    BLOCKED = "blocked"
    LAUNCH_FAILED = "launch_failed"
    LAUNCH_REJECTED = "launch_rejected"
    LAUNCH_TIMEOUT = "launch_timeout"
    NO_ROOM = "no_room"
    IMAGE_MISSING = "image_missing"
    CRASHED = "crashed"
    CONNECTION_LOST = "connection_lost"
    PAGE_CRASHED = "page_crashed"
    PAGE_FROZEN = "page_frozen"
    OUT_OF_MEMORY = "out_of_memory"
    PREEMPTED = "preempted"
    NODE_LOST = "node_lost"
    WORKLOAD_VANISHED = "workload_vanished"
    LEASE_EXPIRED = "lease_expired"
    MAX_DURATION = "max_duration"
    MISSED = "missed"
    CLEAN_UP_FAILED = "clean_up_failed"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: `event`, reported by one of `by`, moves a meeting from `from_state` to `to_state`.

    `from_state` is None for the event that creates the meeting.
    """

    event: Event
    from_state: State | None
    to_state: State
    by: frozenset[Source]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `decide()` needs to know of a meeting.

    Attributes:
        waits_for: What it is on record to wait for within its state: room at the launcher, or a person who deals with
            what is in the bot's way.
    """

    status: State
    attempt: int
    stop_requested: bool = False
    waits_for: Reason | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The event moves the meeting along this row of the table."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event is old news; the reporter gets the answer of a success."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The event contradicts the state; nothing changes and the reporter is told."""

    why: str


Decision = Applied | Ignored | Refused

_S, _E, _F = State, Event, Effect
_USER, _BOT, _DISPATCHER, _RECONCILER = Source.USER, Source.BOT, Source.DISPATCHER, Source.RECONCILER

_WAITING = (_S.STARTING, _S.JOINING, _S.AWAITING_ADMISSION)
_INSIDE = (_S.ACTIVE, _S.RECONFIGURING)
_LEAVE = (_F.SEND_COMMAND, _F.TERMINATE_AFTER_GRACE)
_END = (_F.TERMINATE, _F.FINISH_MEETING)

# fmt: off
_Row = tuple[Event, tuple[State | None, ...], State, tuple[Source, ...], tuple[Effect, ...]]
_ROWS: tuple[_Row, ...] = (
    # event                      from                             to                      reported by                  effects
    (_E.SCHEDULED,               (None,),                         _S.SCHEDULED,           (_USER,),                    ()),
    (_E.REQUESTED,               (None,),                         _S.REQUESTED,           (_USER,),                    (_F.LAUNCH,)),
    (_E.LAUNCH_BEGUN,            (_S.REQUESTED,),                 _S.STARTING,            (_DISPATCHER,),              ()),
    (_E.ROOM_AWAITED,            (_S.STARTING,),                  _S.STARTING,            (_DISPATCHER, _RECONCILER),  ()),
    (_E.LAUNCH_FAILED,           (_S.STARTING,),                  _S.ERROR,               (_DISPATCHER,),              (_F.CLEAN_UP,)),
    (_E.JOINING_BEGUN,           (_S.STARTING,),                  _S.JOINING,             (_BOT,),                     ()),
    (_E.HELP_WANTED,             (_S.JOINING,),                   _S.JOINING,             (_BOT,),                     ()),
    (_E.LOBBY_ENTERED,           (_S.STARTING, _S.JOINING),       _S.AWAITING_ADMISSION,  (_BOT,),                     ()),
    (_E.ADMITTED,                _WAITING,                        _S.ACTIVE,              (_BOT,),                     ()),
    (_E.CONFIGURATION_REQUESTED, _INSIDE,                         _S.RECONFIGURING,       (_USER,),                    (_F.SEND_COMMAND,)),
    (_E.CONFIGURATION_APPLIED,   _INSIDE,                         _S.ACTIVE,              (_BOT,),                     ()),
    (_E.CONFIGURATION_REFUSED,   (_S.RECONFIGURING,),             _S.ACTIVE,              (_BOT,),                     ()),
    (_E.STOP_REQUESTED,          (_S.SCHEDULED, _S.REQUESTED),    _S.COMPLETED,           (_USER,),                    _END),
    (_E.STOP_REQUESTED,          (*_WAITING, *_INSIDE),           _S.STOPPING,            (_USER,),                    _LEAVE),
    (_E.STOP_REQUESTED,          (_S.ERROR,),                     _S.ERROR,               (_USER,),                    ()),
    (_E.LEFT,                    (*_INSIDE, _S.STOPPING),         _S.COMPLETED,           (_BOT,),                     _END),
    (_E.NOT_ADMITTED,            _WAITING,                        _S.FAILED,              (_BOT,),                     _END),
    (_E.NOT_ADMITTED,            (_S.STOPPING,),                  _S.COMPLETED,           (_BOT,),                     _END),
    (_E.CRASHED,                 (*_WAITING, *_INSIDE),           _S.ERROR,               (_BOT, _RECONCILER),         (_F.CLEAN_UP,)),
    (_E.CRASHED,                 (_S.STOPPING,),                  _S.COMPLETED,           (_BOT, _RECONCILER),         _END),
    (_E.WORKLOAD_VANISHED,       (*_WAITING, *_INSIDE),           _S.ERROR,               (_RECONCILER,),              (_F.CLEAN_UP,)),
    (_E.WORKLOAD_VANISHED,       (_S.STOPPING,),                  _S.COMPLETED,           (_RECONCILER,),              _END),
    (_E.LEASE_EXPIRED,           (*_WAITING, *_INSIDE),           _S.ERROR,               (_RECONCILER,),              (_F.CLEAN_UP,)),
    (_E.TERMINATED,              (_S.STOPPING,),                  _S.COMPLETED,           (_DISPATCHER,),              _END),
    (_E.STOP_FAILED,             (_S.STOPPING,),                  _S.ERROR,               (_DISPATCHER,),              (_F.CLEAN_UP,)),
    (_E.DEADLINE_PASSED,         (_S.SCHEDULED,),                 _S.REQUESTED,           (_RECONCILER,),              (_F.LAUNCH,)),
    (_E.MISSED,                  (_S.SCHEDULED,),                 _S.FAILED,              (_RECONCILER,),              _END),
    (_E.DEADLINE_PASSED,         (_S.REQUESTED,),                 _S.FAILED,              (_RECONCILER,),              _END),
    (_E.DEADLINE_PASSED,         _WAITING,                        _S.ERROR,               (_RECONCILER,),              (_F.CLEAN_UP,)),
    (_E.DEADLINE_PASSED,         (_S.ACTIVE,),                    _S.STOPPING,            (_RECONCILER,),              _LEAVE),
    (_E.DEADLINE_PASSED,         (_S.RECONFIGURING,),             _S.ACTIVE,              (_RECONCILER,),              ()),
    (_E.DEADLINE_PASSED,         (_S.STOPPING,),                  _S.ERROR,               (_RECONCILER,),              (_F.CLEAN_UP,)),
    (_E.DEADLINE_PASSED,         (_S.ERROR,),                     _S.FAILED,              (_RECONCILER,),              _END),
    (_E.RETRY_GRANTED,           (_S.ERROR,),                     _S.REQUESTED,           (_DISPATCHER,),              (_F.LAUNCH,)),
    (_E.STOP_FINISHED,           (_S.ERROR,),                     _S.COMPLETED,           (_DISPATCHER,),              _END),
    (_E.GAVE_UP,                 (_S.ERROR,),                     _S.FAILED,              (_DISPATCHER,),              _END),
)
# fmt: on

TABLE: tuple[Transition, ...] = tuple(
    Transition(event, from_state, to_state, frozenset(by), effects)
    for event, from_states, to_state, by, effects in _ROWS
    for from_state in from_states
)

_BY_KEY: dict[tuple[State | None, Event], Transition] = {(row.from_state, row.event): row for row in TABLE}


def _states(states: Iterable[State]) -> frozenset[State]:
    return frozenset(states)


TERMINAL = _states(s for s in State if not any(row.from_state is s for row in TABLE))
"""States that are never left."""

LIVE = _states(s for s in State if s not in TERMINAL)
"""States of meetings that are still going on: they hold their user's place in the meeting."""

HAS_WORKLOAD = _states((*_WAITING, *_INSIDE, _S.STOPPING, _S.ERROR))
"""States in which something of the current attempt may be running."""

COUNTED = _states((_S.REQUESTED, *HAS_WORKLOAD))
"""States that use one of the user's `max_concurrent_bots`."""

WAITING = _states(_WAITING)
"""A bot is under way but not yet in the meeting."""

IN_MEETING = _states(_INSIDE)
"""The bot is in the meeting."""

ACCEPTS_CONFIGURATION = _states(
    row.from_state for row in TABLE if row.event is Event.CONFIGURATION_REQUESTED and row.from_state
)
"""States in which the configuration of the bot may be changed."""

LEASED = _states(row.from_state for row in TABLE if row.event is Event.LEASE_EXPIRED and row.from_state)
"""States in which a bot that has reported once must go on reporting."""

MISSABLE = _states(row.from_state for row in TABLE if row.event is Event.MISSED and row.from_state)
"""States that wait for the join time."""

LAUNCHING = _states(row.from_state for row in TABLE if row.event is Event.LAUNCH_FAILED and row.from_state)
"""States in which the launcher is still to be called, or is being called."""

ENDING = _states((_S.STOPPING,))
"""A stop is under way: whatever ends the workload ends the meeting."""

CHANGING = _states((_S.RECONFIGURING,))
"""The bot has been told of a configuration that is not in force yet."""

FAILING = _states((_S.ERROR, _S.FAILED))
"""An attempt, or the meeting, did not work."""

TIMED_FROM_START = _states((_S.ACTIVE,))
"""States whose deadline counts from the first admission, not from the entry into the state."""

STANDING = frozenset(row.event for row in TABLE if row.from_state in _WAITING and row.from_state is row.to_state)
"""Events that say what a bot on its way waits for: they move nothing and give no more time."""

_WISHES = frozenset({_E.CONFIGURATION_REQUESTED})
_PROGRESS = (_S.REQUESTED, *_WAITING, *_INSIDE, _S.STOPPING, _S.ERROR)
_ARRIVES_AT = {
    _E.LAUNCH_BEGUN: _S.STARTING,
    _E.JOINING_BEGUN: _S.JOINING,
    _E.LOBBY_ENTERED: _S.AWAITING_ADMISSION,
    _E.ADMITTED: _S.ACTIVE,
    _E.CONFIGURATION_REFUSED: _S.ACTIVE,
}
_DEADLINE_REASON = {
    _S.REQUESTED: Reason.LAUNCH_TIMEOUT,
    _S.STARTING: Reason.LAUNCH_TIMEOUT,
    _S.JOINING: Reason.JOIN_FAILED,
    _S.AWAITING_ADMISSION: Reason.ADMISSION_TIMEOUT,
    _S.ACTIVE: Reason.MAX_DURATION,
    _S.ERROR: Reason.CLEAN_UP_FAILED,
}
_DEFAULT_REASON = {
    _E.ROOM_AWAITED: Reason.NO_ROOM,
    _E.LAUNCH_FAILED: Reason.LAUNCH_FAILED,
    _E.HELP_WANTED: Reason.BLOCKED,
    _E.LEFT: Reason.MEETING_ENDED,
    _E.NOT_ADMITTED: Reason.REJECTED,
    _E.CRASHED: Reason.CRASHED,
    _E.WORKLOAD_VANISHED: Reason.WORKLOAD_VANISHED,
    _E.LEASE_EXPIRED: Reason.LEASE_EXPIRED,
    _E.MISSED: Reason.MISSED,
}
TRANSIENT = frozenset(
    {
        Reason.LAUNCH_FAILED,
        Reason.LAUNCH_TIMEOUT,
        Reason.NO_ROOM,
        Reason.JOIN_FAILED,
        Reason.CRASHED,
        Reason.CONNECTION_LOST,
        Reason.PAGE_CRASHED,
        Reason.PAGE_FROZEN,
        Reason.OUT_OF_MEMORY,
        Reason.PREEMPTED,
        Reason.NODE_LOST,
        Reason.WORKLOAD_VANISHED,
        Reason.LEASE_EXPIRED,
    }
)
"""Reasons after which another attempt may do better."""


HELPABLE = frozenset({Reason.CAPTCHA, Reason.SIGN_IN_REQUIRED, Reason.PASSCODE_WRONG, Reason.BLOCKED})
"""What may be in a bot's way that a person can deal with while the bot waits."""


def created_by(event: Event) -> Transition:
    """Return the row that creates a meeting by `event` (`scheduled` or `requested`)."""
    return _BY_KEY[None, event]


def decide(meeting: Snapshot, event: Event, by: Source, attempt: int) -> Decision:
    """Say what `event`, reported by `by` about launch `attempt`, does to `meeting`.

    Pure and total: it never raises, and the same arguments always give the same decision.
    """
    if attempt < meeting.attempt:
        return Ignored("of an attempt that is over")
    if attempt > meeting.attempt:
        return Refused("of an attempt that has not begun")
    if meeting.status in TERMINAL:
        return Refused("the meeting is over") if event in _WISHES else Ignored("the meeting is over")
    row = _BY_KEY.get((meeting.status, event))
    if row is None:
        return _without_row(meeting.status, event)
    if by not in row.by:
        return Refused(f"{by} may not report {event}")
    known = event in STANDING and meeting.waits_for is not None
    return Ignored("that it waits is on record") if known else Applied(row)


def _without_row(status: State, event: Event) -> Decision:
    """Tell old news from contradiction for an event that the table does not know in `status`."""
    if event is Event.STOP_REQUESTED:
        return Ignored("it is stopping already")
    if status in (State.STOPPING, State.ERROR) and event not in _WISHES:
        return Ignored("the attempt is being ended")
    arrives_at = _ARRIVES_AT.get(event)
    if arrives_at and status in _PROGRESS and _PROGRESS.index(status) >= _PROGRESS.index(arrives_at):
        return Ignored("it is that far already")
    return Refused(f"{event} cannot happen while {status}")


def after_clean_up(meeting: Snapshot, reason: Reason | None, *, max_attempts: int) -> Event:
    """Say how a meeting in `error` goes on once nothing of its attempt is running.

    A stop that was asked for wins over a retry; a retry needs a transient reason and attempts left.
    """
    if meeting.stop_requested:
        return Event.STOP_FINISHED
    if reason in TRANSIENT and meeting.attempt < max_attempts:
        return Event.RETRY_GRANTED
    return Event.GAVE_UP


def exit_event(meeting: Snapshot, exit_code: int, reason: Reason | None) -> Event:
    """Classify the end of a bot by what it said of it and by how far it had come.

    A bot that was never in the meeting has not left it: unless its failure is transient, it was not admitted.
    """
    if exit_code != 0 or reason in TRANSIENT:
        return Event.CRASHED
    return Event.NOT_ADMITTED if meeting.status in WAITING else Event.LEFT


def reason_of(
    event: Event, from_state: State, given: Reason | None = None, *, waits_for: Reason | None = None
) -> Reason | None:
    """Return the reason that a transition records, or None to keep the one that stands.

    A user's stop is always `stopped`, and once a meeting is stopping why it ends is settled. What waited for something
    until its time was over has failed for want of that.
    """
    if event is Event.STOP_REQUESTED:
        return Reason.STOPPED
    if from_state is State.STOPPING:
        return None
    if given is not None:
        return given
    if event is Event.DEADLINE_PASSED:
        return waits_for or _DEADLINE_REASON.get(from_state)
    return _DEFAULT_REASON.get(event)
