"""From what the store holds to what the API answers."""

from collections.abc import Sequence

from usher.domain.transcript import Segment
from usher.ports import Configuration, Meeting, MeetingEvent, User
from usher.protocol.rest import (
    ConfigurationBody,
    EventBody,
    MeetingBody,
    RunningBot,
    Transcript,
    TranscriptSegment,
    UserBody,
)

_NORMALIZED = {
    "scheduled": "Requested",
    "requested": "Requested",
    "starting": "Starting",
    "stopping": "Stopping",
    "error": "Failed",
    "completed": "Exited",
    "failed": "Failed",
}


def meeting_body(meeting: Meeting) -> MeetingBody:
    """Return a meeting as the API shows it."""
    return MeetingBody(
        id=meeting.meeting_id,
        user_id=meeting.user_id,
        platform=meeting.ref.platform,
        native_meeting_id=meeting.ref.native_id,
        constructed_meeting_url=meeting.ref.url,
        status=meeting.status,
        reason=meeting.reason,
        failure_stage=meeting.failure_stage,
        bot_name=meeting.bot_name,
        bot_container_id=meeting.bot_container_id,
        attempt=meeting.attempt,
        version=meeting.version,
        configuration=_configuration(meeting.configuration),
        desired_configuration=_configuration(meeting.desired_configuration),
        join_at=meeting.join_at,
        start_time=meeting.start_time,
        end_time=meeting.end_time,
        created_at=meeting.created_at,
        updated_at=meeting.updated_at,
        data=dict(meeting.data),
    )


def running_bot(meeting: Meeting) -> RunningBot:
    """Return a bot that is under way, in the form of Vexa's `GET /bots/status`."""
    return RunningBot(
        container_id=meeting.bot_container_id,
        container_name=meeting.bot_container_id,
        platform=meeting.ref.platform,
        native_meeting_id=meeting.ref.native_id,
        status=meeting.status,
        normalized_status=_NORMALIZED.get(meeting.status, "Up"),
        created_at=meeting.created_at,
        labels={"usher.meeting_id": str(meeting.meeting_id), "usher.attempt": str(meeting.attempt)},
        meeting_id_from_name=str(meeting.meeting_id),
    )


def transcript_body(meeting: Meeting, segments: Sequence[Segment]) -> Transcript:
    """Return a meeting with its segments; times count from the bot's admission."""
    origin = meeting.start_time or (segments[0].absolute_start if segments else meeting.created_at)
    return Transcript(
        id=meeting.meeting_id,
        platform=meeting.ref.platform,
        native_meeting_id=meeting.ref.native_id,
        constructed_meeting_url=meeting.ref.url,
        status=meeting.status,
        start_time=meeting.start_time,
        end_time=meeting.end_time,
        segments=[
            TranscriptSegment(
                segment_id=segment.segment_id,
                start=round((segment.absolute_start - origin).total_seconds(), 3),
                end=round((segment.absolute_end - origin).total_seconds(), 3),
                text=segment.text,
                language=segment.language,
                speaker=segment.speaker,
                completed=segment.completed,
                absolute_start_time=segment.absolute_start,
                absolute_end_time=segment.absolute_end,
            )
            for segment in segments
        ],
    )


def event_body(event: MeetingEvent) -> EventBody:
    """Return one line of a meeting's history."""
    return EventBody(
        version=event.version,
        event=event.event,
        from_state=event.from_state,
        to_state=event.to_state,
        by=event.by,
        attempt=event.attempt,
        reason=event.reason,
        detail=event.detail,
        at=event.at,
    )


def user_body(user: User) -> UserBody:
    """Return a user as the Admin API shows them."""
    return UserBody(
        id=user.user_id,
        email=user.email,
        name=user.name,
        max_concurrent_bots=user.max_concurrent_bots,
        created_at=user.created_at,
    )


def _configuration(configuration: Configuration) -> ConfigurationBody:
    return ConfigurationBody.model_validate({"language": configuration.language, "task": configuration.task})
