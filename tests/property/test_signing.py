"""What a bot signs is believed, and nothing else is; what is derived for one bot is no other's."""

import json
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from usher.protocol.credentials import BotCredentials, BotIdentity, name_session
from usher.protocol.segments import BODY, CONNECTION, SIGNATURE, SegmentEntry, SpokenSegment, is_signed, sign

TEXTS = st.text(min_size=1, max_size=40)
TOKENS = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=60)  # HMAC pads keys with zeros
ENTRIES = st.builds(
    SegmentEntry,
    meeting_id=st.integers(1, 2**40),
    session_uid=TEXTS,
    session_start=st.datetimes(timezones=st.just(UTC)),
    segments=st.lists(
        st.builds(
            SpokenSegment,
            segment_id=TEXTS,
            revision=st.integers(0, 9),
            start_s=st.floats(0, 1e5),
            end_s=st.floats(0, 1e5),
            text=TEXTS,
            speaker=st.none() | TEXTS,
            language=st.none() | st.just("en"),
            completed=st.booleans(),
        ),
        max_size=3,
    ),
)
BOTS = st.builds(BotIdentity, st.integers(1, 10**18 - 1), st.uuids().map(str))
SECRETS = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=16, max_size=64).map(str.encode)
ENTRY = SegmentEntry(meeting_id=1, session_uid="u", session_start=datetime(2026, 1, 1, tzinfo=UTC), segments=[])


def stored(fields: dict[str, str]) -> dict[str, bytes]:
    """Return the fields as Redis gives them back."""
    return {name: value.encode() for name, value in fields.items()}


@given(ENTRIES, st.uuids().map(str), TOKENS)
def test_what_was_signed_is_believed_and_read_as_it_was_written(
    entry: SegmentEntry, connection: str, token: str
) -> None:
    fields = stored(sign(entry, connection, token))
    assert is_signed(fields, token)
    assert fields[CONNECTION].decode() == connection
    assert SegmentEntry.model_validate_json(fields[BODY]) == entry


@given(ENTRIES, TOKENS, TOKENS)
def test_another_token_is_not_believed(entry: SegmentEntry, token: str, other: str) -> None:
    assert is_signed(stored(sign(entry, "c", token)), other) is (token == other)


@given(ENTRIES, st.data())
def test_a_body_that_was_touched_is_not_believed(entry: SegmentEntry, data: st.DataObject) -> None:
    fields = stored(sign(entry, "c", "token"))
    at = data.draw(st.integers(0, len(fields[BODY]) - 1))
    touched = bytearray(fields[BODY])
    touched[at] ^= data.draw(st.integers(1, 255))
    assert not is_signed({**fields, BODY: bytes(touched)}, "token")


@given(st.dictionaries(st.sampled_from([BODY, SIGNATURE, CONNECTION]), st.binary(max_size=80)))
def test_anything_else_on_the_stream_is_not_believed(fields: dict[str, bytes]) -> None:
    assert not is_signed(fields, "token")


def test_another_meeting_in_the_body_is_not_believed() -> None:
    fields = stored(sign(ENTRY, "c", "token"))
    forged = json.dumps({**json.loads(fields[BODY]), "meeting_id": 2}).encode()
    assert not is_signed({**fields, BODY: forged}, "token")


@given(SECRETS, BOTS)
def test_a_token_speaks_for_its_bot_and_is_the_same_every_time(secret: bytes, bot: BotIdentity) -> None:
    token = BotCredentials(secret).token(bot)
    assert BotCredentials(secret).token(bot) == token
    assert BotCredentials(secret).verify(token) == bot


@given(SECRETS, SECRETS, BOTS)
def test_a_token_of_another_installation_is_not_believed(secret: bytes, other: bytes, bot: BotIdentity) -> None:
    believed = BotCredentials(other).verify(BotCredentials(secret).token(bot))
    assert (believed == bot) is (secret == other)


@given(BOTS, BOTS)
def test_one_bots_credentials_are_no_other_bots(bot: BotIdentity, other: BotIdentity) -> None:
    credentials = BotCredentials(b"0123456789abcdef")
    same = bot == other
    assert (credentials.token(bot) == credentials.token(other)) is same
    assert (credentials.redis_password(bot) == credentials.redis_password(other)) is same
    assert credentials.redis_password(bot) not in credentials.token(bot)
    mac = credentials.token(other).rpartition(".")[2]
    forged = f"ub1.{bot.meeting_id}.{bot.connection_id}.{mac}"
    assert (credentials.verify(forged) == bot) is same


@given(BOTS, st.integers(1, 10**18 - 1))
def test_one_connection_in_two_meetings_is_two_bots(bot: BotIdentity, meeting_id: int) -> None:
    other = BotIdentity(meeting_id, bot.connection_id)
    credentials = BotCredentials(b"0123456789abcdef")
    assert (credentials.redis_password(bot) == credentials.redis_password(other)) is (bot == other)


@given(st.text(max_size=120) | st.text(max_size=40).map("ub1.7.".__add__))
def test_whatever_is_given_as_a_token_is_refused(token: str) -> None:
    assert BotCredentials(b"0123456789abcdef").verify(token) is None


@given(BOTS, BOTS, st.lists(st.uuids(), max_size=3))
def test_every_session_of_a_bot_is_its_own_and_no_other_bots(
    bot: BotIdentity, other: BotIdentity, suffixes: list[UUID]
) -> None:
    name = bot.connection_id
    for suffix in suffixes:
        name = name_session(name, suffix.hex)
    assert bot.owns(name)
    assert len(name) <= 100, "session names are bounded on the segment stream"
    assert other.owns(name) is (other.connection_id == bot.connection_id)


def test_a_name_that_only_begins_alike_is_not_owned() -> None:
    bot = BotIdentity(1, "abc")
    assert not any(bot.owns(name) for name in ("abcd", "abcd.1", "ab", "", ".abc", "ABC", "abc:1"))
