"""The invariants I1-I16, asserted in one place: evidence goes in, sentences about what is wrong come out."""

from collections.abc import Callable, Iterator

from tests.support.invariants import history, messages, workloads
from tests.support.invariants.evidence import (
    Access,
    Allowance,
    Answer,
    BotMove,
    CommandRecord,
    Delivery,
    Evidence,
    Fill,
    KeyUse,
    Leftover,
    Life,
    Settlement,
    Sighting,
    StoredSegment,
)

RULES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    workloads.one_bot_in_a_call,
    history.limit_is_kept,
    history.history_is_a_chain,
    history.deadlines_are_kept,
    messages.nothing_is_owed,
    workloads.workloads_have_meetings,
    workloads.dead_bots_are_noticed,
    workloads.silent_bots_are_noticed,
    workloads.the_living_are_not_declared_dead,
    messages.confirmed_is_stored,
    history.reports_count_once,
    history.old_attempts_move_nothing,
    history.sightings_are_true,
    messages.commands_run_once,
    messages.commands_run_soon,
    messages.commands_are_accounted_for,
    history.a_stop_stands,
    workloads.stop_wins,
    messages.keys_make_one_meeting,
    messages.webhooks_arrive,
    messages.feeds_have_no_gaps,
    history.claims_are_held,
    messages.credentials_reach_one_bot,
    messages.deleted_is_gone,
    history.wall_clock_is_ignored,
    messages.nothing_overflows,
)
"""Each says what is wrong in sentences that begin with the number of the invariant and name the meeting."""


def violations(evidence: Evidence) -> list[str]:
    """Return what is wrong, in the order of the invariants; empty if nothing is."""
    return [sentence for rule in RULES for sentence in rule(evidence)]


__all__ = [
    "RULES",
    "Access",
    "Allowance",
    "Answer",
    "BotMove",
    "CommandRecord",
    "Delivery",
    "Evidence",
    "Fill",
    "KeyUse",
    "Leftover",
    "Life",
    "Settlement",
    "Sighting",
    "StoredSegment",
    "violations",
]
