"""What the room says to a page: plain facts, turned into JSON at the edge by `to_json`."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from usher.room.messages import Microphone

RefusedWhy: TypeAlias = Literal["room_full", "lobby_full", "too_many_rooms", "host_only", "no_such_participant"]


@dataclass(frozen=True, slots=True)
class PersonView:
    """A participant as the others see them."""

    id: str
    name: str
    microphone: Microphone


@dataclass(frozen=True, slots=True)
class Waiting:
    """You are in the lobby."""

    you: str
    type: Literal["waiting"] = "waiting"


@dataclass(frozen=True, slots=True)
class Admitted:
    """You are inside; `participants` are the others, and you offer each a connection."""

    you: str
    host: str
    participants: tuple[PersonView, ...]
    type: Literal["admitted"] = "admitted"


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody came in and is about to offer you a connection."""

    participant: PersonView
    type: Literal["joined"] = "joined"


@dataclass(frozen=True, slots=True)
class Gone:
    """A participant is no longer inside."""

    participant: str
    type: Literal["gone"] = "gone"


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody in the lobby asks to join. To the host."""

    participant: str
    name: str
    type: Literal["asked"] = "asked"


@dataclass(frozen=True, slots=True)
class AskClosed:
    """A request is answered or withdrawn. To the host."""

    participant: str
    type: Literal["ask_closed"] = "ask_closed"


@dataclass(frozen=True, slots=True)
class HostChanged:
    """Another participant is host now."""

    host: str
    type: Literal["host_changed"] = "host_changed"


@dataclass(frozen=True, slots=True)
class MicrophoneChanged:
    """A participant muted, unmuted, or got or lost a microphone."""

    participant: str
    microphone: Microphone
    type: Literal["microphone_changed"] = "microphone_changed"


@dataclass(frozen=True, slots=True)
class Signalled:
    """One step of the WebRTC negotiation, from another participant."""

    sender: str
    description: dict[str, Any] | None = None
    candidate: dict[str, Any] | None = None
    type: Literal["signalled"] = "signalled"


@dataclass(frozen=True, slots=True)
class Over:
    """Your visit is over; the server closes the WebSocket after this."""

    why: Literal["denied", "removed", "ended", "left"]
    type: Literal["over"] = "over"


@dataclass(frozen=True, slots=True)
class Refused:
    """What you asked for cannot be."""

    why: RefusedWhy
    type: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with pong."""

    type: Literal["ping"] = "ping"


ToPage: TypeAlias = (
    Waiting
    | Admitted
    | Joined
    | Gone
    | Asked
    | AskClosed
    | HostChanged
    | MicrophoneChanged
    | Signalled
    | Over
    | Refused
    | Ping
)

_to_page: TypeAdapter[ToPage] = TypeAdapter(ToPage)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way.

    Attributes:
        to: Id of the person it is for.
        event: The message.
        final: Nothing follows; the person's WebSocket is closed behind it.
    """

    to: str
    event: ToPage
    final: bool = False


def to_json(event: ToPage) -> str:
    """The text that goes over the WebSocket."""
    return _to_page.dump_json(event).decode()
