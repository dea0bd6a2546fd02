"""The rules of a room: lobby, host, limits, and which messages a page may send."""

import json

import pytest
from pydantic import ValidationError

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
    to_json,
)
from usher.room.limits import RoomLimits
from usher.room.meeting import Person, RoomMeeting
from usher.room.messages import (
    Admit,
    Deny,
    End,
    Join,
    Leave,
    Remove,
    SessionDescription,
    SetMicrophone,
    Signal,
    parse_from_page,
)
from usher.room.rooms import Outbox, Rooms

ALICE, BOB, CAROL, DAVE = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
NAMES = {ALICE: "Alice", BOB: "Bob", CAROL: "Carol", DAVE: "Dave"}


def person(person_id: str, *, host: bool = False) -> Person:
    return Person(person_id, NAMES[person_id], host, "live")


def view(person_id: str) -> PersonView:
    return PersonView(person_id, NAMES[person_id], "live")


def told(deliveries: list[Delivery], person_id: str) -> list[ToPage]:
    return [delivery.event for delivery in deliveries if delivery.to == person_id]


def finals(deliveries: list[Delivery]) -> set[str]:
    return {delivery.to for delivery in deliveries if delivery.final}


def meeting_of(*inside: str, limits: RoomLimits | None = None) -> RoomMeeting:
    """A meeting with these people in it; the first is host and asked to be."""
    meeting = RoomMeeting(limits or RoomLimits())
    host, *guests = inside
    meeting.arrive(person(host, host=True))
    for guest in guests:
        meeting.arrive(person(guest))
        meeting.handle(host, Admit(type="admit", participant=guest))
    return meeting


class TestLobby:
    def test_the_first_person_is_inside_as_host(self) -> None:
        meeting = RoomMeeting(RoomLimits())
        assert meeting.arrive(person(ALICE)) == [Delivery(ALICE, Admitted(ALICE, ALICE, ()))]
        assert not meeting.is_empty

    def test_everybody_else_waits_and_the_host_is_asked(self) -> None:
        meeting = meeting_of(ALICE, BOB)
        deliveries = meeting.arrive(person(CAROL))
        assert told(deliveries, CAROL) == [Waiting(CAROL)]
        assert told(deliveries, ALICE) == [Asked(CAROL, "Carol")]
        assert told(deliveries, BOB) == []

    def test_the_admitted_learn_who_is_there_and_the_others_learn_of_them(self) -> None:
        meeting = meeting_of(ALICE, BOB)
        meeting.arrive(person(CAROL))
        deliveries = meeting.handle(ALICE, Admit(type="admit", participant=CAROL))
        assert told(deliveries, CAROL) == [Admitted(CAROL, ALICE, (view(ALICE), view(BOB)))]
        assert told(deliveries, ALICE) == [AskClosed(CAROL), Joined(view(CAROL))]
        assert told(deliveries, BOB) == [Joined(view(CAROL))]

    def test_the_denied_are_told_and_gone(self) -> None:
        meeting = meeting_of(ALICE)
        meeting.arrive(person(BOB))
        deliveries = meeting.handle(ALICE, Deny(type="deny", participant=BOB))
        assert told(deliveries, BOB) == [Over("denied")]
        assert finals(deliveries) == {BOB}
        assert told(deliveries, ALICE) == [AskClosed(BOB)]
        again = meeting.handle(ALICE, Admit(type="admit", participant=BOB))
        assert again == [Delivery(ALICE, Refused("no_such_participant"))]

    def test_who_gives_up_waiting_is_no_longer_asked_about(self) -> None:
        meeting = meeting_of(ALICE)
        meeting.arrive(person(BOB))
        assert meeting.depart(BOB) == [Delivery(ALICE, AskClosed(BOB))]

    @pytest.mark.parametrize(
        "command",
        [
            Admit(type="admit", participant=CAROL),
            Deny(type="deny", participant=CAROL),
            Remove(type="remove", participant=ALICE),
            End(type="end"),
        ],
    )
    @pytest.mark.parametrize("by", [BOB, CAROL])
    def test_only_the_host_may(self, command: Admit | Deny | Remove | End, by: str) -> None:
        meeting = meeting_of(ALICE, BOB)
        meeting.arrive(person(CAROL))
        assert meeting.handle(by, command) == [Delivery(by, Refused("host_only"))]
        admitted = meeting.handle(ALICE, Admit(type="admit", participant=CAROL))
        assert told(admitted, CAROL), "the refused command changed something"


class TestHost:
    def test_the_removed_are_told_and_gone(self) -> None:
        meeting = meeting_of(ALICE, BOB, CAROL)
        deliveries = meeting.handle(ALICE, Remove(type="remove", participant=BOB))
        assert told(deliveries, BOB) == [Over("removed")]
        assert finals(deliveries) == {BOB}
        assert told(deliveries, ALICE) == told(deliveries, CAROL) == [Gone(BOB)]

    @pytest.mark.parametrize("whom", [ALICE, DAVE])
    def test_the_host_cannot_remove_themselves_nor_a_stranger(self, whom: str) -> None:
        deliveries = meeting_of(ALICE, BOB).handle(ALICE, Remove(type="remove", participant=whom))
        assert deliveries == [Delivery(ALICE, Refused("no_such_participant"))]

    def test_after_the_host_the_longest_inside_follows_and_learns_who_waits(self) -> None:
        meeting = meeting_of(ALICE, BOB, CAROL)
        meeting.arrive(person(DAVE))
        deliveries = meeting.depart(ALICE)
        assert told(deliveries, BOB) == [Gone(ALICE), HostChanged(BOB), Asked(DAVE, "Dave")]
        assert told(deliveries, CAROL) == [Gone(ALICE), HostChanged(BOB)]
        assert told(meeting.handle(BOB, Admit(type="admit", participant=DAVE)), DAVE) != []

    def test_one_who_asks_to_be_host_takes_over_from_one_who_did_not(self) -> None:
        meeting = RoomMeeting(RoomLimits())
        meeting.arrive(person(ALICE))
        meeting.arrive(person(BOB))
        deliveries = meeting.arrive(person(CAROL, host=True))
        assert told(deliveries, CAROL) == [Admitted(CAROL, CAROL, (view(ALICE),)), Asked(BOB, "Bob")]
        assert told(deliveries, ALICE) == [Joined(view(CAROL)), HostChanged(CAROL)]

    def test_a_second_one_who_asks_to_be_host_waits_like_everybody(self) -> None:
        meeting = meeting_of(ALICE)
        assert told(meeting.arrive(person(BOB, host=True)), BOB) == [Waiting(BOB)]

    def test_when_only_the_lobby_is_left_the_next_to_come_is_host_and_asked(self) -> None:
        meeting = meeting_of(ALICE)
        meeting.arrive(person(BOB))
        assert meeting.depart(ALICE) == []
        assert not meeting.is_empty
        assert told(meeting.arrive(person(CAROL)), CAROL) == [Admitted(CAROL, CAROL, ()), Asked(BOB, "Bob")]

    def test_the_end_is_for_everybody_and_leaves_nothing(self) -> None:
        meeting = meeting_of(ALICE, BOB)
        meeting.arrive(person(CAROL))
        deliveries = meeting.handle(ALICE, End(type="end"))
        assert [delivery.event for delivery in deliveries] == [Over("ended")] * 3
        assert finals(deliveries) == {ALICE, BOB, CAROL}
        assert meeting.is_empty


class TestLeaving:
    def test_who_leaves_is_told_and_the_others_too(self) -> None:
        meeting = meeting_of(ALICE, BOB)
        deliveries = meeting.handle(BOB, Leave(type="leave"))
        assert told(deliveries, ALICE) == [Gone(BOB)]
        assert told(deliveries, BOB) == [Over("left")]
        assert finals(deliveries) == {BOB}

    def test_departing_twice_says_nothing_new(self) -> None:
        meeting = meeting_of(ALICE, BOB)
        meeting.depart(BOB)
        assert meeting.depart(BOB) == []

    def test_the_last_one_leaves_an_empty_meeting(self) -> None:
        meeting = meeting_of(ALICE)
        meeting.depart(ALICE)
        assert meeting.is_empty


class TestLimits:
    def test_a_full_room_admits_nobody_and_they_go_on_waiting(self) -> None:
        meeting = meeting_of(ALICE, BOB, limits=RoomLimits(participants=2))
        meeting.arrive(person(CAROL))
        admit = Admit(type="admit", participant=CAROL)
        assert meeting.handle(ALICE, admit) == [Delivery(ALICE, Refused("room_full"))]
        meeting.depart(BOB)
        assert told(meeting.handle(ALICE, admit), CAROL) == [Admitted(CAROL, ALICE, (view(ALICE),))]

    def test_a_host_who_comes_to_a_full_room_is_turned_away(self) -> None:
        meeting = RoomMeeting(RoomLimits(participants=1))
        meeting.arrive(person(ALICE))
        assert meeting.arrive(person(BOB, host=True)) == [Delivery(BOB, Refused("room_full"), final=True)]

    def test_a_full_lobby_turns_away(self) -> None:
        meeting = meeting_of(ALICE, limits=RoomLimits(waiting=1))
        meeting.arrive(person(BOB))
        assert meeting.arrive(person(CAROL)) == [Delivery(CAROL, Refused("lobby_full"), final=True)]


class TestInTheMeeting:
    OFFER = Signal(type="signal", to=BOB, description=SessionDescription(type="offer", sdp="v=0"))

    def test_signals_go_to_the_one_they_are_for(self) -> None:
        deliveries = meeting_of(ALICE, BOB, CAROL).handle(ALICE, self.OFFER)
        assert deliveries == [Delivery(BOB, Signalled(ALICE, {"type": "offer", "sdp": "v=0"}))]

    def test_candidates_keep_the_names_that_browsers_know(self) -> None:
        candidate = {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "u"}
        signal = parse_from_page(json.dumps({"type": "signal", "to": BOB, "candidate": candidate}))
        (delivery,) = meeting_of(ALICE, BOB).handle(ALICE, signal)
        assert isinstance(delivery.event, Signalled)
        assert delivery.event.candidate == candidate

    @pytest.mark.parametrize("sender", [BOB, CAROL, DAVE])
    def test_signals_from_outside_or_to_oneself_go_nowhere(self, sender: str) -> None:
        meeting = meeting_of(ALICE, BOB)
        meeting.arrive(person(CAROL))
        assert meeting.handle(sender, self.OFFER) == []

    def test_signals_never_reach_the_lobby(self) -> None:
        meeting = meeting_of(ALICE)
        meeting.arrive(person(BOB))
        assert meeting.handle(ALICE, self.OFFER) == []

    def test_a_muted_microphone_is_told_to_the_others_and_to_later_ones(self) -> None:
        meeting = meeting_of(ALICE, BOB)
        deliveries = meeting.handle(BOB, SetMicrophone(type="microphone", microphone="muted"))
        assert deliveries == [Delivery(ALICE, MicrophoneChanged(BOB, "muted"))]
        meeting.arrive(person(CAROL))
        (admitted,) = told(meeting.handle(ALICE, Admit(type="admit", participant=CAROL)), CAROL)
        assert isinstance(admitted, Admitted)
        assert PersonView(BOB, "Bob", "muted") in admitted.participants


class TestMessages:
    def test_a_name_is_stripped(self) -> None:
        assert parse_from_page('{"type": "join", "name": " Alice "}') == Join(type="join", name="Alice")

    @pytest.mark.parametrize(
        "message",
        [
            {},
            {"type": "join"},
            {"type": "join", "name": "  "},
            {"type": "join", "name": "x" * 61},
            {"type": "join", "name": "Al\nice"},
            {"type": "join", "name": "Alice", "microphone": "loud"},
            {"type": "join", "name": "Alice", "admin": True},
            {"type": "admit"},
            {"type": "admit", "participant": "not an id"},
            {"type": "dance"},
            {"type": "signal", "to": ALICE, "description": {"type": "rollback", "sdp": ""}},
            {"type": "signal", "to": ALICE, "description": {"type": "offer", "sdp": "x" * 32_769}},
            ["join"],
        ],
    )
    def test_malformed_messages_are_refused(self, message: object) -> None:
        with pytest.raises(ValidationError):
            parse_from_page(json.dumps(message))

    def test_what_is_no_json_is_refused(self) -> None:
        with pytest.raises(ValidationError):
            parse_from_page("join please")

    def test_events_name_their_type(self) -> None:
        assert json.loads(to_json(Asked(BOB, "Bob"))) == {"type": "asked", "participant": BOB, "name": "Bob"}


class TestRooms:
    def test_an_empty_room_vanishes(self) -> None:
        rooms = Rooms(RoomLimits(rooms=1))
        rooms.arrive("standup", person(ALICE), Outbox(8))
        assert rooms.can_open("standup")
        assert not rooms.can_open("planning")
        rooms.depart("standup", ALICE)
        assert len(rooms) == 0
        assert rooms.can_open("planning")

    def test_a_room_stays_while_somebody_waits(self) -> None:
        rooms = Rooms(RoomLimits())
        rooms.arrive("standup", person(ALICE), Outbox(8))
        rooms.arrive("standup", person(BOB), Outbox(8))
        rooms.depart("standup", ALICE)
        assert len(rooms) == 1

    async def test_a_page_that_does_not_keep_up_is_cut_off(self) -> None:
        outbox = Outbox(2)
        for _ in range(3):
            outbox.put(Gone(BOB))
        assert await outbox.get() is None

    async def test_nothing_follows_a_final_message(self) -> None:
        outbox = Outbox(8)
        outbox.put(Over("left"), final=True)
        outbox.put(Gone(BOB))
        outbox.put(Over("ended"), final=True)
        last = await outbox.get()
        assert last is not None
        assert last.final
        assert json.loads(last.text) == {"type": "over", "why": "left"}
