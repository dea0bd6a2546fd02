"""Reports and heartbeats on the wire, and what versions of both sides make of each other."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from usher.domain.lifecycle import Reason
from usher.protocol.reports import MOST_MARKS, Exited, Heartbeat, HeartbeatAnswer, SegmentMark, Started, Status


def test_reports_are_read_whatever_a_newer_bot_adds() -> None:
    assert Started.model_validate({"seq": 1, "mood": "good"}).seq == 1
    assert Status.model_validate({"seq": 2, "status": "joining", "mood": "good"}).status == "joining"
    exited = Exited.model_validate({"seq": 3, "exit_code": 1, "reason": "crashed", "mood": "bad"})
    assert exited.reason is Reason.CRASHED


def test_a_reason_of_another_version_is_kept_as_evidence() -> None:
    said = Exited.model_validate({"seq": 1, "exit_code": 0, "reason": "removed_by_admin", "detail": "at noon"})
    assert said.reason is None
    assert said.detail == "reason: removed_by_admin. at noon"
    assert Exited.model_validate_json(said.model_dump_json()) == said
    odd = Exited.model_validate({"seq": 1, "exit_code": 0, "reason": ["left"]})
    assert (odd.reason, odd.detail) == (None, "reason: ['left']. ")


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Started, {}),
        (Started, {"seq": 0}),
        (Status, {"seq": 1, "status": "dancing"}),
        (Exited, {"seq": 1}),
        (Exited, {"seq": 1, "exit_code": 0, "detail": "x" * 4001}),
        (Heartbeat, {"executed_seq": -1}),
        (Heartbeat, {"sent": [{"segment_id": "s:1", "revision": 1}] * (MOST_MARKS + 1)}),
        (SegmentMark, {"segment_id": "", "revision": 1}),
        (SegmentMark, {"segment_id": "x" * 121, "revision": 1}),
        (SegmentMark, {"segment_id": "s:1", "revision": -1}),
        (SegmentMark, {"segment_id": "s:1", "revision": 2**31}),
    ],
)
def test_what_makes_no_sense_is_refused(model: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)


def test_a_heartbeat_of_a_bot_that_confirms_nothing_is_one_without_questions() -> None:
    assert Heartbeat.model_validate({}) == Heartbeat(executed_seq=0, sent=[])


def test_a_heartbeat_asks_about_as_much_as_it_may() -> None:
    marks = [SegmentMark(segment_id=f"s:{number}", revision=number) for number in range(MOST_MARKS)]
    beat = Heartbeat(executed_seq=3, sent=marks)
    assert Heartbeat.model_validate_json(beat.model_dump_json()) == beat


def test_an_answer_tells_nothing_stored_from_a_manager_that_cannot_tell() -> None:
    assert "stored" not in HeartbeatAnswer.model_validate_json(b'{"newest_seq": 1}').model_fields_set
    assert "stored" in HeartbeatAnswer.model_validate_json(b'{"newest_seq": 1, "stored": []}').model_fields_set
    assert b"stored" in HeartbeatAnswer(newest_seq=1).model_dump_json().encode()


def test_an_answer_needs_the_newest_command() -> None:
    with pytest.raises(ValidationError):
        HeartbeatAnswer.model_validate({"stored": []})
    with pytest.raises(ValidationError):
        HeartbeatAnswer.model_validate({"newest_seq": -1})
