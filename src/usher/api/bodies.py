"""From what the store holds to what the API answers."""

from collections.abc import Sequence
from datetime import datetime

from usher.app.chat import message_id
from usher.domain.transcript import Segment
from usher.ports import ChatMessage, CommandFate, Configuration, Exhibit, Meeting, MeetingEvent, Share
from usher.protocol.rest import (
    ChatMessageBody,
    CommandBody,
    ConfigurationBody,
    EventBody,
    EvidenceBody,
    MeetingBody,
    RunningBot,
    ShareBody,
    SharedTranscript,
    Transcript,
    TranscriptSegment,
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
        failure_detail=meeting.failure_detail,
        bot_name=meeting.bot_name,
        bot_container_id=meeting.bot_container_id,
        attempt=meeting.attempt,
        version=meeting.version,
        configuration=_configuration(meeting.configuration),
        desired_configuration=_configuration(meeting.desired_configuration),
        recording_enabled=meeting.recording_enabled,
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
    return Transcript(
        id=meeting.meeting_id,
        platform=meeting.ref.platform,
        native_meeting_id=meeting.ref.native_id,
        constructed_meeting_url=meeting.ref.url,
        status=meeting.status,
        start_time=meeting.start_time,
        end_time=meeting.end_time,
        segments=_segments(meeting, segments),
    )


def shared_body(meeting: Meeting, segments: Sequence[Segment]) -> SharedTranscript:
    """Return what somebody with a link may see of a meeting; not its address, which may be a key to it."""
    name = meeting.data.get("name")
    return SharedTranscript(
        name=name if isinstance(name, str) else None,
        status=meeting.status,
        start_time=meeting.start_time,
        end_time=meeting.end_time,
        segments=_segments(meeting, segments),
    )


def origin_of(meeting: Meeting, segments: Sequence[Segment]) -> datetime:
    """Return the moment from which a transcript's times count."""
    return meeting.start_time or (segments[0].absolute_start if segments else meeting.created_at)


def _segments(meeting: Meeting, segments: Sequence[Segment]) -> list[TranscriptSegment]:
    origin = origin_of(meeting, segments)
    return [
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
    ]


def share_body(share: Share) -> ShareBody:
    """Return a link, without its token, which nobody knows any more."""
    return ShareBody(
        id=share.share_id, meeting_id=share.meeting_id, created_at=share.created_at, expires_at=share.expires_at
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


def command_body(fate: CommandFate) -> CommandBody:
    """Return a command and what became of it."""
    state = fate.outcome or "pending"
    return CommandBody.model_validate({"seq": fate.seq, "action": fate.action, "state": state, "detail": fate.detail})


def chat_message_body(message: ChatMessage) -> ChatMessageBody:
    """Return a message of a meeting's chat."""
    return ChatMessageBody(
        message_id=message_id(message),
        sender=message.sender,
        text=message.text,
        is_self=message.is_self,
        at=message.at,
    )


def evidence_body(exhibit: Exhibit) -> EvidenceBody:
    """Return a piece of evidence, without its contents."""
    return EvidenceBody(
        id=exhibit.number,
        attempt=exhibit.attempt,
        step=exhibit.step,
        reason=exhibit.reason,
        taken_at=exhibit.taken_at,
        title=exhibit.title,
        address=exhibit.address,
        screenshot_bytes=exhibit.screenshot_bytes,
        tree_characters=exhibit.tree_characters,
    )


def _configuration(configuration: Configuration) -> ConfigurationBody:
    return ConfigurationBody.model_validate({"language": configuration.language, "task": configuration.task})
