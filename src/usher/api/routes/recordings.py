"""`/recordings`: the sound of meetings."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import StreamingResponse

from usher.api.auth import ForReading, ForWriting
from usher.api.pages import Id
from usher.api.problems import responses
from usher.api.ranges import wanted_range
from usher.app.recordings import Download, state_of
from usher.ports import Recording, RecordingFile, RecordingPage
from usher.protocol.recordings import MEDIA_TYPE, FileState, MediaFile, RecordingBody, RecordingList

router = APIRouter(tags=["recordings"])

_Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
_BeforeId = Annotated[int | None, Query(ge=1, description="Only older ones than this: the next page.")]
_WHOLE = {"content": {MEDIA_TYPE: {}}, "description": "WebM with one Opus track"}
_PART = {"content": {MEDIA_TYPE: {}}, "description": "The part that was asked for"}


@router.get("/recordings", responses=responses())
async def list_recordings(call: ForReading, limit: _Limit = 100, before_id: _BeforeId = None) -> RecordingList:
    """List your recordings, newest first."""
    page = RecordingPage(limit=limit, before_id=before_id)
    found = await call.context.recordings.list(call.user.user_id, page)
    return RecordingList(recordings=[_body(recording) for recording in found])


@router.get("/meetings/{meeting_id}/recordings", responses=responses(404))
async def list_recordings_of_meeting(meeting_id: Id, call: ForReading, limit: _Limit = 100) -> RecordingList:
    """List the recordings of one of your meetings, newest first: one for each attempt that heard something."""
    meeting = await call.context.bots.get_by_id(call.user.user_id, meeting_id)
    page = RecordingPage(limit=limit, meeting_id=meeting.meeting_id)
    found = await call.context.recordings.list(call.user.user_id, page)
    return RecordingList(recordings=[_body(recording) for recording in found])


@router.get("/recordings/{recording_id}", responses=responses(404))
async def get_recording(recording_id: Id, call: ForReading) -> RecordingBody:
    """Return one of your recordings."""
    return _body(await call.context.recordings.get(call.user.user_id, recording_id))


@router.delete("/recordings/{recording_id}", status_code=204, responses=responses(404, 409))
async def delete_recording(recording_id: Id, call: ForWriting) -> None:
    """Delete a recording for good. Its bot has to be gone."""
    recordings = call.context.recordings
    await recordings.delete(await recordings.get(call.user.user_id, recording_id))


@router.get(
    "/recordings/{recording_id}/media/{media_id}/raw",
    response_class=StreamingResponse,
    responses={200: _WHOLE, 206: _PART, **responses(404, 416)},
)
async def get_media(
    recording_id: Id,
    media_id: Id,
    call: ForReading,
    range_: Annotated[str | None, Header(alias="Range", description="One range of bytes.")] = None,
    if_range: Annotated[str | None, Header(description="The `ETag` that the range is meant for.")] = None,
) -> StreamingResponse:
    """Return a file, or a part of it. While the bot records, it is what has been uploaded so far."""
    recordings = call.context.recordings
    recording = await recordings.get(call.user.user_id, recording_id)
    download = await recordings.open(recording, media_id)
    headers = _headers(recording, download)
    begin, end, status = _part(range_ if if_range in {None, headers["ETag"]} else None, download.size_bytes)
    headers["Content-Length"] = str(end - begin)
    if status == 206:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{download.size_bytes}"
    content = recordings.read(download, begin, end)
    first = await anext(content, b"")  # what cannot be read at all is a problem, not a stream that breaks
    return StreamingResponse(_rest(first, content), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _part(range_: str | None, size: int) -> tuple[int, int, int]:
    """Return which bytes to send, and with which status."""
    try:
        part = wanted_range(range_, size)
    except ValueError:
        unsatisfied = {"Content-Range": f"bytes */{size}"}
        raise HTTPException(416, f"The file has {size} bytes", headers=unsatisfied) from None
    return (0, size, 200) if part is None else (*part, 206)


async def _rest(first: bytes, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in content:
        yield part


def _headers(recording: Recording, download: Download) -> dict[str, str]:
    file = download.file
    finished = file.state is FileState.FINISHED
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="meeting-{recording.meeting_id}-{file.name}.webm"',
        "ETag": f'"{file.file_id}-{download.size_bytes}-{int(finished)}"',
    }


def _body(recording: Recording) -> RecordingBody:
    status, detail = state_of(recording)
    return RecordingBody(
        id=recording.recording_id,
        meeting_id=recording.meeting_id,
        user_id=recording.user_id,
        attempt=recording.attempt,
        status=status,
        detail=detail,
        started_at=recording.started_at,
        created_at=recording.created_at,
        media_files=[_media(file) for file in recording.files],
    )


def _media(file: RecordingFile) -> MediaFile:
    return MediaFile(
        id=file.file_id,
        name=file.name,
        speaker=file.speaker,
        file_size_bytes=file.size_bytes,
        duration_seconds=file.duration_ms / 1000,
        lost_seconds=file.lost_ms / 1000,
        created_at=file.created_at,
    )
