"""What users' servers can be told, and by which changes of a meeting."""

from enum import StrEnum

from usher.domain.lifecycle import IN_MEETING, TERMINAL, Transition


class NoticeType(StrEnum):
    """A kind of message about a meeting."""

    STATUS_CHANGE = "meeting.status_change"
    ADMITTED = "bot.admitted"
    FINISHED = "meeting.finished"
    TRANSCRIPT_READY = "transcript.ready"


def notices_of(transition: Transition) -> tuple[NoticeType, ...]:
    """Return what a change is told as, each to those who have chosen it."""
    told = [NoticeType.STATUS_CHANGE]
    if transition.to_state in IN_MEETING and transition.from_state not in IN_MEETING:
        told.append(NoticeType.ADMITTED)
    if transition.to_state in TERMINAL:
        told += [NoticeType.FINISHED, NoticeType.TRANSCRIPT_READY]
    return tuple(told)
