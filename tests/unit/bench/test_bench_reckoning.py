"""The reckoning after a recovery: each thing that may be missing is missed."""

from dataclasses import fields, replace
from typing import Any

import pytest
from bench.fleet.diary import Page
from bench.reckoning import Evidence, Violations, judge
from bench.traffic import Ticket
from bench.world import Customer

CUSTOMER = Customer(1, "key")


def meeting(**changes: object) -> dict[str, Any]:
    row = {"id": 7, "room": "a", "connection_id": "c", "status": "completed", "reason": "stopped", "attempt": 1}
    return {**row, "stored": 3, **changes}


def bot(**changes: object) -> Page:
    page: Any = {
        "workload": "usher-7-1",
        "meeting_id": 7,
        "connection_id": "c",
        "room": "a",
        "place": "over",
        "launched_s": 0.0,
        "spoken": 3,
        "unsafe": 0,
        "executed": [(1, 0.0), (2, 0.0)],
        "acknowledged": [(1, 0.0), (2, 0.0)],
    }
    return {**page, **changes}  # type: ignore[typeddict-item]  # changes are any fields


def command(seq: int, action: str) -> dict[str, Any]:
    return {"meeting_id": 7, "connection_id": "c", "seq": seq, "action": action, "outcome": "applied"}


SOUND = Evidence(
    meetings=[meeting()],
    commands=[command(1, "reconfigure"), command(2, "leave")],
    seats=0,
    tickets=[Ticket("a", CUSTOMER, meeting_id=7, configured=1, stopped=True), Ticket("b", CUSTOMER)],
    bots=[bot()],
    running=[],
    doubled=[],
)


def test_nothing_is_missed_where_nothing_is_missing() -> None:
    assert judge(SOUND) == Violations()
    assert judge(SOUND).total == 0


@pytest.mark.parametrize(
    ("evidence", "what"),
    [
        (replace(SOUND, meetings=[meeting(status="active")]), "lost_meetings"),
        (replace(SOUND, bots=[bot(executed=[(2, 0.0)])]), "lost_commands"),
        (replace(SOUND, commands=[command(2, "leave")]), "lost_commands"),
        (replace(SOUND, meetings=[meeting(stored=2)]), "lost_segments"),
        (replace(SOUND, meetings=[meeting(), meeting(id=8)]), "doubled_meetings"),
        (replace(SOUND, doubled=["usher-7-2"]), "doubled_workloads"),
        (replace(SOUND, bots=[bot(executed=[(1, 0.0), (2, 0.0), (1, 1.0)])]), "doubled_commands"),
        (replace(SOUND, running=["usher-7-1"]), "orphaned_workloads"),
        (replace(SOUND, meetings=[meeting(reason="crashed")]), "disturbed"),
        (replace(SOUND, meetings=[meeting(attempt=2)]), "disturbed"),
        (replace(SOUND, seats=1), "lost_seats"),
    ],
)
def test_each_violation_is_counted_once_and_as_what_it_is(evidence: Evidence, what: str) -> None:
    found = judge(evidence)
    assert {one.name: getattr(found, one.name) for one in fields(found) if getattr(found, one.name)} == {what: 1}
    assert any(what.replace("_", " ") in line and line.endswith(" 1") for line in found.lines())


def test_a_meeting_that_was_never_written_is_lost() -> None:
    ticket = Ticket("x", CUSTOMER, meeting_id=99)
    assert judge(replace(SOUND, tickets=[*SOUND.tickets, ticket])).lost_meetings == 1
