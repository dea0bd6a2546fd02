"""The client: one method for each thing the API does."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, Self

import httpx

from usher.client.errors import ApiError
from usher.client.following import Following
from usher.domain.lifecycle import State
from usher.domain.meeting import Platform
from usher.protocol.commands import Task
from usher.protocol.live import StatusFrame, TranscriptFrame
from usher.protocol.recordings import RecordingBody, RecordingList
from usher.protocol.rest import (
    Accepted,
    ChatBody,
    CommandAccepted,
    CommandBody,
    EventList,
    EvidenceList,
    MeetingBody,
    MeetingList,
    NewShare,
    RunningBots,
    ShareList,
    Transcript,
)

_TIMEOUT_S = 15.0
_PATIENCE_S = 60.0
_PAGE = 1000


class Usher:
    """A connection to one Usher.

    Args:
        url: Base URL, for example `http://127.0.0.1:8056`.
        api_key: Your API key.
    """

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url.rstrip("/")
        self._key = api_key
        self._http = httpx.Client(base_url=self._url, headers={"X-API-Key": api_key}, timeout=_TIMEOUT_S)

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return self._url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send_bot(
        self,
        meeting_url: str,
        *,
        bot_name: str = "Usher",
        language: str | None = None,
        task: Task = "transcribe",
        recording_enabled: bool = False,
        idempotency_key: str | None = None,
    ) -> MeetingBody:
        """Send a bot into the meeting at that address.

        Raises:
            ApiError: The API refused, or did not answer.
        """
        body: dict[str, object] = {"meeting_url": meeting_url, "bot_name": bot_name, "language": language, "task": task}
        if recording_enabled:
            body["recording_enabled"] = True
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return MeetingBody.model_validate(self._call("POST", "/bots", json=body, headers=headers))

    def stop_bot(self, platform: Platform, native_meeting_id: str) -> MeetingBody:
        """Stop the bot in that meeting. Idempotent."""
        return Accepted.model_validate(self._call("DELETE", f"/bots/{platform}/{native_meeting_id}")).meeting

    def configure_bot(self, platform: Platform, native_meeting_id: str, **changes: str | None) -> MeetingBody:
        """Change `language` or `task` of the bot in that meeting."""
        path = f"/bots/{platform}/{native_meeting_id}/config"
        return Accepted.model_validate(self._call("PUT", path, json=changes)).meeting

    def running_bots(self) -> RunningBots:
        """List your bots that are under way."""
        return RunningBots.model_validate(self._call("GET", "/bots/status"))

    def meetings(
        self,
        *,
        limit: int = 20,
        platform: Platform | None = None,
        native_meeting_id: str | None = None,
        status: State | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[MeetingBody]:
        """List your meetings, newest first, `limit` at most; page after page is asked for.

        Args:
            limit: How many at most.
            platform: Only those on it.
            native_meeting_id: Only visits to that call; with its platform.
            status: Only those in that state.
            since: Only those asked for then or later, with time zone.
            until: Only those asked for before, with time zone.
        """
        times = {"since": since and since.isoformat(), "until": until and until.isoformat()}
        query = {"platform": platform, "native_meeting_id": native_meeting_id, "status": status, **times}
        wanted: dict[str, Any] = {name: value for name, value in query.items() if value is not None}
        found: list[MeetingBody] = []
        while True:
            wanted["limit"] = min(limit - len(found), _PAGE)
            page = MeetingList.model_validate(self._call("GET", "/meetings", params=wanted))
            found += page.meetings
            if page.next_before_id is None or len(found) >= limit:
                return found
            wanted["before_id"] = page.next_before_id

    def meeting(self, meeting_id: int) -> MeetingBody:
        """Return one of your meetings."""
        return MeetingBody.model_validate(self._call("GET", f"/meetings/{meeting_id}"))

    def events(self, meeting_id: int) -> EventList:
        """Return the history of one of your meetings."""
        return EventList.model_validate(self._call("GET", f"/meetings/{meeting_id}/events"))

    def transcript(self, platform: Platform, native_meeting_id: str) -> Transcript:
        """Return what was said in that meeting."""
        return Transcript.model_validate(self._call("GET", f"/transcripts/{platform}/{native_meeting_id}"))

    def transcript_by_id(self, meeting_id: int) -> Transcript:
        """Return what was said in one of your meetings."""
        return Transcript.model_validate(self._call("GET", f"/transcripts/by-id/{meeting_id}"))

    def transcript_file(self, meeting_id: int, form: Literal["txt", "srt", "vtt"]) -> str:
        """Return what was said in one of your meetings as text, SRT or WebVTT."""
        return self._ask("GET", f"/transcripts/by-id/{meeting_id}", params={"format": form}).text

    def describe_meeting(self, meeting_id: int, **data: str | list[str]) -> MeetingBody:
        """Set `name`, `participants`, `languages` or `notes` of one of your meetings; the others stay. Idempotent."""
        return MeetingBody.model_validate(self._call("PATCH", f"/meetings/{meeting_id}", json={"data": data}))

    def delete_meeting(self, meeting_id: int) -> None:
        """Delete a meeting that is over for good: transcript, chat, evidence, recordings and links. Idempotent.

        Raises:
            ApiError: `meeting_not_over`, or `bot_not_gone`: its bot is still being ended, a moment later it works.
        """
        self._call("DELETE", f"/meetings/{meeting_id}")

    def share_transcript(self, meeting_id: int, *, expires_in_s: int = 7 * 24 * 3600) -> NewShare:
        """Make a link to a transcript; whoever has it reads the transcript. Twice is two links."""
        answer = self._call("POST", f"/meetings/{meeting_id}/shares", json={"expires_in_s": expires_in_s})
        return NewShare.model_validate(answer)

    def shares(self, meeting_id: int) -> ShareList:
        """List the links to a transcript that are good."""
        return ShareList.model_validate(self._call("GET", f"/meetings/{meeting_id}/shares"))

    def end_share(self, meeting_id: int, share_id: int) -> None:
        """Take back a link to a transcript."""
        self._call("DELETE", f"/meetings/{meeting_id}/shares/{share_id}")

    def say(self, platform: Platform, native_meeting_id: str, text: str) -> CommandAccepted:
        """Let the bot in that meeting write into its chat; `command` tells what came of it. Twice is two messages."""
        answer = self._call("POST", f"/bots/{platform}/{native_meeting_id}/chat", json={"text": text})
        return CommandAccepted.model_validate(answer)

    def rename_bot(self, platform: Platform, native_meeting_id: str, bot_name: str) -> CommandAccepted:
        """Let the bot in that meeting go under another name; `command` tells what came of it."""
        answer = self._call("PUT", f"/bots/{platform}/{native_meeting_id}/name", json={"bot_name": bot_name})
        return CommandAccepted.model_validate(answer)

    def command(self, platform: Platform, native_meeting_id: str, seq: int) -> CommandBody:
        """Return what became of a command to the bot in that meeting."""
        return CommandBody.model_validate(self._call("GET", f"/bots/{platform}/{native_meeting_id}/commands/{seq}"))

    def chat(self, platform: Platform, native_meeting_id: str) -> ChatBody:
        """Return what was written in that meeting's chat."""
        return ChatBody.model_validate(self._call("GET", f"/bots/{platform}/{native_meeting_id}/chat"))

    def evidence(self, meeting_id: int) -> EvidenceList:
        """List what the bots of one of your meetings saw when a step did not work."""
        return EvidenceList.model_validate(self._call("GET", f"/meetings/{meeting_id}/evidence"))

    def evidence_screenshot(self, meeting_id: int, evidence_id: int) -> bytes:
        """Return a screenshot, as JPEG.

        Raises:
            ApiError: `no_screenshot`: that piece has none.
        """
        return self._ask("GET", f"/meetings/{meeting_id}/evidence/{evidence_id}/screenshot").content

    def evidence_tree(self, meeting_id: int, evidence_id: int) -> str:
        """Return what stood on the page, as an indented tree."""
        return self._ask("GET", f"/meetings/{meeting_id}/evidence/{evidence_id}/tree").text

    def recordings(self, meeting_id: int) -> RecordingList:
        """List the recordings of one of your meetings, newest first: one for each attempt that heard something."""
        return RecordingList.model_validate(self._call("GET", f"/meetings/{meeting_id}/recordings"))

    def recording(self, recording_id: int) -> RecordingBody:
        """Return one of your recordings."""
        return RecordingBody.model_validate(self._call("GET", f"/recordings/{recording_id}"))

    def recorded_sound(self, recording_id: int, media_id: int) -> Iterator[bytes]:
        """Yield a file of a recording, as far as it has been uploaded: WebM with one Opus track.

        Raises:
            ApiError: The API refused, did not answer, or the connection broke.
        """
        try:
            with self._http.stream("GET", f"/recordings/{recording_id}/media/{media_id}/raw") as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refusal(answer)
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise ApiError(0, "no_answer", f"No answer from {self._url} ({type(error).__name__}). Is it up?") from error

    def delete_recording(self, recording_id: int) -> None:
        """Delete a recording for good.

        Raises:
            ApiError: `still_recording`: its bot is not gone yet.
        """
        self._call("DELETE", f"/recordings/{recording_id}")

    def follow(
        self,
        platform: Platform,
        native_meeting_id: str,
        *,
        cursor: str | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> Iterator[StatusFrame | TranscriptFrame]:
        """Yield the meeting's live frames, until the caller ends it. It connects again by itself and misses nothing.

        Args:
            platform: Of the meeting.
            native_meeting_id: Of the meeting.
            cursor: Go on after the frame with that cursor; by default the present state comes first.
            patience_s: How long it may take to connect again.

        Raises:
            ApiError: The connection was refused, or broke and could not be made again in time.
        """
        following = Following(self._url, self._key, platform, native_meeting_id, cursor=cursor, patience_s=patience_s)
        return following.frames()

    def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - options and JSON are httpx's own
        answer = self._ask(method, path, **options)
        return answer.json() if answer.content else None

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - options are httpx's own
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ApiError(0, "no_answer", f"No answer from {self._url} ({type(error).__name__}). Is it up?") from error
        if answer.is_success:
            return answer
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
        return ApiError(answer.status_code, str(problem["code"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(answer.status_code, "unreadable", f"HTTP {answer.status_code} without a readable problem.")
