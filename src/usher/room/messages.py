"""What a page says to the room: validated here, trusted inside."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

Microphone: TypeAlias = Literal["live", "muted", "none"]


def _printable(name: str) -> str:
    if not name.isprintable():
        message = "a name has printable characters only"
        raise ValueError(message)
    return name


PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), AfterValidator(_printable)
]
PersonId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class _FromPage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Join(_FromPage):
    """Ask to come in. The first message on every WebSocket, and only the first."""

    type: Literal["join"]
    name: PersonName
    host: bool = False
    microphone: Microphone = "none"


class Admit(_FromPage):
    """Let somebody in from the lobby. Host only."""

    type: Literal["admit"]
    participant: PersonId


class Deny(_FromPage):
    """Turn somebody in the lobby away. Host only."""

    type: Literal["deny"]
    participant: PersonId


class Remove(_FromPage):
    """Put another participant out of the meeting. Host only."""

    type: Literal["remove"]
    participant: PersonId


class End(_FromPage):
    """End the meeting for everybody. Host only."""

    type: Literal["end"]


class Leave(_FromPage):
    """Go."""

    type: Literal["leave"]


class SetMicrophone(_FromPage):
    """Tell the others the state of one's own microphone."""

    type: Literal["microphone"]
    microphone: Microphone


class SessionDescription(_FromPage):
    """A WebRTC offer or answer. Source: W3C WebRTC, ``RTCSessionDescriptionInit``."""

    type: Literal["offer", "answer"]
    sdp: Annotated[str, StringConstraints(max_length=32_768)]


class IceCandidate(_FromPage):
    """A network address of a page. Source: W3C WebRTC, ``RTCIceCandidateInit``."""

    candidate: Annotated[str, StringConstraints(max_length=1_024)]
    sdp_mid: Annotated[str | None, Field(alias="sdpMid", max_length=64)] = None
    sdp_m_line_index: Annotated[int | None, Field(alias="sdpMLineIndex", ge=0, le=64)] = None
    username_fragment: Annotated[str | None, Field(alias="usernameFragment", max_length=256)] = None


class Signal(_FromPage):
    """One step of the WebRTC negotiation with another participant."""

    type: Literal["signal"]
    to: PersonId
    description: SessionDescription | None = None
    candidate: IceCandidate | None = None


class Pong(_FromPage):
    """The answer to a ping."""

    type: Literal["pong"]


FromPage: TypeAlias = Join | Admit | Deny | Remove | End | Leave | SetMicrophone | Signal | Pong

_from_page: TypeAdapter[FromPage] = TypeAdapter(Annotated[FromPage, Field(discriminator="type")])


def parse_from_page(text: str) -> FromPage:
    """Read one message of a page.

    Args:
        text: The JSON text as it came.

    Raises:
        pydantic.ValidationError: It is no message of this protocol.
    """
    return _from_page.validate_json(text)
