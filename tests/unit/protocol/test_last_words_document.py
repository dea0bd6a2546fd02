"""The sealed document of last words: believed whole and from its bot, or not at all."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest

from usher.domain.lifecycle import Reason
from usher.protocol.last_words import (
    MOST_BYTES,
    LastWords,
    UnsentExited,
    UnsentStarted,
    UnsentStatus,
    seal,
    unseal,
)
from usher.protocol.segments import SegmentEntry, SpokenSegment

_TOKEN = "ub1.7.connection.0"


def _words(text: str = "hello") -> LastWords:
    segment = SpokenSegment(segment_id="s:1", revision=1, start_s=0.0, end_s=1.0, text=text, completed=True)
    entry = SegmentEntry(
        meeting_id=7, session_uid="s", session_start=datetime(2026, 11, 20, 9, 0, tzinfo=UTC), segments=[segment]
    )
    return LastWords(
        connection_id="connection",
        reports=[
            UnsentStatus(seq=1, status="joining"),
            UnsentStarted(seq=2),
            UnsentExited(seq=3, exit_code=0, reason=Reason.STOPPED),
        ],
        entries=[entry],
    )


def test_what_was_sealed_is_read() -> None:
    read = unseal(seal(_words(), _TOKEN), _TOKEN)
    assert read == _words()
    assert read is not None
    assert [type(report) for report in read.reports] == [UnsentStatus, UnsentStarted, UnsentExited]


def test_another_bots_token_does_not_open_it() -> None:
    assert unseal(seal(_words(), _TOKEN), "ub1.8.connection.0") is None


def test_no_byte_of_it_may_be_changed_and_none_may_be_missing() -> None:
    document = seal(_words(), _TOKEN)
    for place in range(len(document)):
        changed = bytearray(document)
        changed[place] ^= 1
        assert unseal(bytes(changed), _TOKEN) is None, place
        assert unseal(document[:place], _TOKEN) is None, place


def test_the_seal_is_not_the_one_of_another_kind_of_message() -> None:
    document = seal(_words(), _TOKEN)
    body = document.partition(b"\n")[2]

    plain = hmac.new(_TOKEN.encode(), body, hashlib.sha256).hexdigest().encode()
    assert unseal(plain + b"\n" + body, _TOKEN) is None


@pytest.mark.parametrize("document", [b"", b"\n", b"nonsense", b"0" * 64 + b"\n{}", b"\xff" * 100, b"\n" * 200])
def test_what_is_no_document_is_not_believed(document: bytes) -> None:
    assert unseal(document, _TOKEN) is None


def test_what_is_too_long_is_not_read() -> None:
    sealed = seal(_words(), _TOKEN)
    assert len(sealed) < MOST_BYTES
    long = LastWords(connection_id="x" * (MOST_BYTES + 1))
    assert unseal(seal(long, _TOKEN), _TOKEN) is None


def test_what_is_sealed_but_makes_no_sense_is_not_believed() -> None:
    strange = LastWords.model_construct(connection_id="connection", reports=[], entries="none")
    with pytest.warns(UserWarning, match="serialized value"):
        document = seal(strange, _TOKEN)
    assert unseal(document, _TOKEN) is None
