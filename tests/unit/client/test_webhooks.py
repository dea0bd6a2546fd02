"""What receivers check messages with."""

import base64
import hashlib
import hmac
import json

import pytest

from usher.client.webhooks import NotGenuine, verify
from usher.protocol.webhooks import new_secret, sign

BODY = b'{"event_type": "meeting.finished", "data": {"meeting": {"id": 7}}}'
NOW_S = 1_800_000_000
SECRET = new_secret()


def signed(secret: str = SECRET, *, sent_at: int = NOW_S, old_secret: str | None = None) -> dict[str, str]:
    return sign(secret, "msg_7_3", sent_at, BODY, old_secret=old_secret)


def test_a_genuine_message_says_what_it_says() -> None:
    assert verify(BODY, signed(), SECRET, now_s=NOW_S) == json.loads(BODY)
    shouted = {name.upper(): value for name, value in signed().items()}
    assert verify(BODY, shouted, SECRET, now_s=NOW_S) == json.loads(BODY)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """Made here by the letter of the specification, and not by the code that it is checked with."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"msg_1.{NOW_S}.".encode() + BODY, hashlib.sha256).digest()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW_S),
        "webhook-signature": f"v1a,bm90IG91cnM= v1,{base64.b64encode(digest).decode()}",
    }
    assert verify(BODY, headers, SECRET, now_s=NOW_S) == json.loads(BODY)


def test_while_a_secret_is_replaced_either_will_do() -> None:
    new, old = new_secret(), new_secret()
    both = signed(new, old_secret=old)
    assert len(both["webhook-signature"].split()) == 2
    for secret in (new, old, [old, SECRET], [SECRET, new]):
        assert verify(BODY, both, secret, now_s=NOW_S)
    with pytest.raises(NotGenuine):
        verify(BODY, both, SECRET, now_s=NOW_S)


@pytest.mark.parametrize("seconds", [-299, 299])
def test_clocks_may_differ_by_some_minutes(seconds: int) -> None:
    assert verify(BODY, signed(sent_at=NOW_S + seconds), SECRET, now_s=NOW_S)


@pytest.mark.parametrize("seconds", [-301, 301, -(10**9)])
def test_what_was_sent_too_long_ago_is_not_taken(seconds: int) -> None:
    with pytest.raises(NotGenuine, match="long ago"):
        verify(BODY, signed(sent_at=NOW_S + seconds), SECRET, now_s=NOW_S)


@pytest.mark.parametrize(
    "forged",
    [
        {"webhook-id": "msg_8_3"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW_S - 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "²"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ÄÖÜ"},
        {"webhook-signature": signed()["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
    ],
)
def test_nothing_forged_is_taken(forged: dict[str, str]) -> None:
    with pytest.raises(NotGenuine):
        verify(BODY, signed() | forged, SECRET, now_s=NOW_S)


def test_a_changed_body_is_not_taken() -> None:
    with pytest.raises(NotGenuine, match="no signature"):
        verify(BODY.replace(b"7", b"8"), signed(), SECRET, now_s=NOW_S)


def test_by_itself_it_goes_by_the_clock() -> None:
    with pytest.raises(NotGenuine, match="long ago"):
        verify(BODY, signed(sent_at=1_000_000_000), SECRET)


@pytest.mark.parametrize("secret", ["", "s3cret", "whsec_", [], [SECRET, "whsec_short"]])
def test_without_a_secret_nothing_can_be_checked(secret: str | list[str]) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify(BODY, signed(), secret, now_s=NOW_S)
