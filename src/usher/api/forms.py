"""The forms in which a transcript is given out: JSON, text, SRT, WebVTT."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from fastapi.responses import Response

from usher.api.bodies import origin_of
from usher.domain.subtitles import as_srt, as_text, as_vtt
from usher.domain.transcript import Segment
from usher.ports import Meeting

Form = Literal["json", "txt", "srt", "vtt"]
AskedForm = Annotated[Form | None, Query(alias="format", description="The form; default: what `Accept` asks for.")]
Accept = Annotated[str | None, Header(description="text/plain, application/x-subrip, text/vtt, or else JSON.")]

_MEDIA_TYPES: dict[str, Form] = {
    "application/json": "json",
    "text/plain": "txt",
    "application/x-subrip": "srt",
    "text/vtt": "vtt",
}
_TYPE_OF = {form: media_type for media_type, form in _MEDIA_TYPES.items()}
_WRITERS: dict[Form, Callable[[Sequence[Segment], datetime], str]] = {"txt": as_text, "srt": as_srt, "vtt": as_vtt}
PRIVATE = {"Cache-Control": "private, no-store", "Vary": "Accept"}
"""Headers of a transcript: nobody between keeps it."""


TEXT_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The transcript, in the form that was asked for",
        "content": {name: {"schema": {"type": "string"}} for name, form in _MEDIA_TYPES.items() if form != "json"},
    }
}
"""The OpenAPI entry of the forms besides JSON."""


def wanted_form(asked: Form | None, accept: str | None) -> Form:
    """Return the form that a request asks for: by the query, or by `Accept`, where JSON is what anything else means."""
    if asked is not None:
        return asked
    ranked = sorted(_accepted(accept or ""), key=lambda one: -one[1])
    return next((_MEDIA_TYPES[name] for name, weight in ranked if name in _MEDIA_TYPES and weight > 0), "json")


def _accepted(accept: str) -> list[tuple[str, float]]:
    """Return the media types of an `Accept` header, with their weights."""
    found = []
    for part in accept.split(",")[:20]:
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            found.append((name, float(weights[0]) if weights else 1.0))
        except ValueError:
            continue
    return found


async def as_file(form: Form, name: str, meeting: Meeting, segments: Sequence[Segment]) -> Response:
    """Return a transcript as a file. It is written in a thread, as one of a whole day takes a while.

    Args:
        form: Any but JSON.
        name: Of the file that it is saved as, without its ending.
        meeting: Whose.
        segments: What was said.
    """
    text = await asyncio.to_thread(_WRITERS[form], segments, origin_of(meeting, segments))
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(text.encode(errors="replace"), media_type=f"{_TYPE_OF[form]}; charset=utf-8", headers=headers)
