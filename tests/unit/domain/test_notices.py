"""Which changes are told as what."""

from usher.domain.lifecycle import IN_MEETING, TABLE, TERMINAL, Event
from usher.domain.notices import NoticeType, notices_of


def test_every_change_is_told_as_one() -> None:
    for row in TABLE:
        told = notices_of(row)
        assert told[0] is NoticeType.STATUS_CHANGE
        assert len(set(told)) == len(told)


def test_every_end_is_told_as_one_and_nothing_else_is() -> None:
    for row in TABLE:
        ends = {NoticeType.FINISHED, NoticeType.TRANSCRIPT_READY}.intersection(notices_of(row))
        assert len(ends) == (2 if row.to_state in TERMINAL else 0), row


def test_a_bot_is_admitted_once_and_not_again_when_it_is_reconfigured() -> None:
    admitting = [row for row in TABLE if NoticeType.ADMITTED in notices_of(row)]
    assert admitting
    for row in admitting:
        assert row.to_state in IN_MEETING
        assert row.from_state not in IN_MEETING
    assert {row for row in TABLE if row.event is Event.ADMITTED} <= set(admitting)
