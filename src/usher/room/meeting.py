"""The rules of one room: who is inside, who waits, who is host. No I/O, no clock.

Every method takes something a person did and returns what the others must be told.
"""

from dataclasses import dataclass

from usher.room.events import (
    Admitted,
    AskClosed,
    Asked,
    Delivery,
    Gone,
    HostChanged,
    Joined,
    MicrophoneChanged,
    Over,
    PersonView,
    Refused,
    Signalled,
    ToPage,
    Waiting,
)
from usher.room.limits import RoomLimits
from usher.room.messages import Admit, Deny, End, FromPage, Leave, Microphone, Remove, SetMicrophone, Signal


@dataclass(slots=True)
class Person:
    """Somebody who came to a room."""

    id: str
    name: str
    asks_for_host: bool
    microphone: Microphone

    def view(self) -> PersonView:
        """This person as the others see them."""
        return PersonView(self.id, self.name, self.microphone)


class RoomMeeting:
    """One meeting in one room.

    Invariant: somebody is host exactly when somebody is inside.
    """

    def __init__(self, limits: RoomLimits) -> None:
        self._limits = limits
        self._inside: dict[str, Person] = {}
        self._waiting: dict[str, Person] = {}
        self._host: Person | None = None

    @property
    def is_empty(self) -> bool:
        """Nobody is inside and nobody waits."""
        return not self._inside and not self._waiting

    def arrive(self, person: Person) -> list[Delivery]:
        """Take in a newcomer: inside as host, or into the lobby."""
        becomes_host = self._host is None or (person.asks_for_host and not self._host.asks_for_host)
        if becomes_host and len(self._inside) >= self._limits.participants:
            return [Delivery(person.id, Refused("room_full"), final=True)]
        if becomes_host:
            return [*self._enter(person, as_host=True), *self._tell_host_who_waits()]
        if len(self._waiting) >= self._limits.waiting:
            return [Delivery(person.id, Refused("lobby_full"), final=True)]
        self._waiting[person.id] = person
        return [Delivery(person.id, Waiting(person.id)), *self._to_host(Asked(person.id, person.name))]

    def depart(self, person_id: str) -> list[Delivery]:
        """Take note that a person is gone, from wherever they were. Idempotent."""
        if self._waiting.pop(person_id, None) is not None:
            return self._to_host(AskClosed(person_id))
        if self._inside.pop(person_id, None) is None:
            return []
        told = self._to_all(Gone(person_id))
        if self._host is not None and self._host.id == person_id:
            self._host = next(iter(self._inside.values()), None)
            if self._host is not None:
                told += [*self._to_all(HostChanged(self._host.id)), *self._tell_host_who_waits()]
        return told

    def handle(self, by: str, message: FromPage) -> list[Delivery]:
        """Do what a person inside or in the lobby asks for.

        Args:
            by: Id of that person.
            message: What they ask; `Join` and `Pong` mean nothing here.
        """
        match message:
            case Leave():
                return [*self.depart(by), Delivery(by, Over("left"), final=True)]
            case Admit() | Deny() | Remove() | End():
                return self._host_command(by, message)
            case Signal():
                return self._relay(by, message)
            case SetMicrophone(microphone=microphone):
                return self._set_microphone(by, microphone)
            case _:
                return []

    def _host_command(self, by: str, message: Admit | Deny | Remove | End) -> list[Delivery]:
        if self._host is None or self._host.id != by:
            return [Delivery(by, Refused("host_only"))]
        match message:
            case Admit(participant=asking):
                return self._admit(by, asking)
            case Deny(participant=asking):
                return self._deny(by, asking)
            case Remove(participant=other):
                return self._remove(by, other)
            case End():
                return self._end()

    def _admit(self, by: str, asking: str) -> list[Delivery]:
        if asking not in self._waiting:
            return [Delivery(by, Refused("no_such_participant"))]
        if len(self._inside) >= self._limits.participants:
            return [Delivery(by, Refused("room_full"))]
        person = self._waiting.pop(asking)
        return [Delivery(by, AskClosed(asking)), *self._enter(person, as_host=False)]

    def _deny(self, by: str, asking: str) -> list[Delivery]:
        if self._waiting.pop(asking, None) is None:
            return [Delivery(by, Refused("no_such_participant"))]
        return [Delivery(by, AskClosed(asking)), Delivery(asking, Over("denied"), final=True)]

    def _remove(self, by: str, other: str) -> list[Delivery]:
        if other == by or other not in self._inside:
            return [Delivery(by, Refused("no_such_participant"))]
        return [*self.depart(other), Delivery(other, Over("removed"), final=True)]

    def _end(self) -> list[Delivery]:
        everybody = [*self._inside, *self._waiting]
        self._inside.clear()
        self._waiting.clear()
        self._host = None
        return [Delivery(person_id, Over("ended"), final=True) for person_id in everybody]

    def _relay(self, by: str, signal: Signal) -> list[Delivery]:
        # A peer that left a moment ago is nothing to complain about: `Gone` is already on its way to the sender.
        if by not in self._inside or signal.to not in self._inside or signal.to == by:
            return []
        description = signal.description.model_dump() if signal.description else None
        candidate = signal.candidate.model_dump(by_alias=True) if signal.candidate else None
        return [Delivery(signal.to, Signalled(by, description, candidate))]

    def _set_microphone(self, by: str, microphone: Microphone) -> list[Delivery]:
        person = self._inside.get(by) or self._waiting.get(by)
        if person is None:
            return []
        person.microphone = microphone
        return self._to_all(MicrophoneChanged(by, microphone), but=by) if by in self._inside else []

    def _enter(self, person: Person, *, as_host: bool) -> list[Delivery]:
        others = tuple(other.view() for other in self._inside.values())
        told = self._to_all(Joined(person.view()))
        self._inside[person.id] = person
        if as_host or self._host is None:
            self._host = person
            told += self._to_all(HostChanged(person.id), but=person.id)
        return [Delivery(person.id, Admitted(person.id, self._host.id, others)), *told]

    def _tell_host_who_waits(self) -> list[Delivery]:
        return [told for person in self._waiting.values() for told in self._to_host(Asked(person.id, person.name))]

    def _to_host(self, event: ToPage) -> list[Delivery]:
        return [Delivery(self._host.id, event)] if self._host is not None else []

    def _to_all(self, event: ToPage, *, but: str | None = None) -> list[Delivery]:
        return [Delivery(person_id, event) for person_id in self._inside if person_id != but]
