"""For servers that receive Usher's webhooks: is a message genuine, and what does it say."""

import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from usher.protocol.webhooks import is_secret, signature

TOLERANCE_S = 300.0
"""How much older or newer than now a message may be: whoever has recorded one cannot send it again tomorrow."""


class NotGenuine(Exception):
    """The message is not from the Usher that has the secret, was changed on its way, or is too old."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now_s: float | None = None,
) -> dict[str, Any]:
    """Return what a message says, if it is genuine. Answer 401 if it is not, and 204 before you work on one that is.

    Source: Standard Webhooks specification: the header holds any number of signatures, of which one has to fit.

    Args:
        body: The body, exactly as it came.
        headers: The request's, in any case of letters; any mapping of names to values.
        secret: `whsec_…`; or several, while you replace one by another.
        tolerance_s: How much older or newer than now it may be.
        now_s: Seconds since 1970; the machine's clock if it is left out.

    Raises:
        NotGenuine: It is not; the error says why.
        ValueError: What was given is no secret.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets or not all(map(is_secret, secrets)):
        raise ValueError("a secret is `whsec_` and 24 bytes or more in base64")
    message_id, sent_at, signatures = _headers(headers)
    if abs((time.time() if now_s is None else now_s) - sent_at) > tolerance_s:
        raise NotGenuine("it was sent too long ago, or a clock is wrong")
    expected = [signature(each, message_id, sent_at, body).encode() for each in secrets]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures):
        raise NotGenuine("no signature fits")
    return _said(body)


def _headers(headers: Mapping[str, str]) -> tuple[str, int, list[bytes]]:
    found = {name.lower(): value for name, value in headers.items()}
    message_id, sent_at = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not message_id or not (sent_at.isascii() and sent_at.isdecimal() and len(sent_at) <= 12):
        raise NotGenuine("it has no webhook-id or webhook-timestamp")
    return message_id, int(sent_at), [each.encode() for each in found.get("webhook-signature", "").split()]


def _said(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError as error:
        raise NotGenuine("it is no JSON") from error
    if not isinstance(said, dict):
        raise NotGenuine("it is no JSON object")
    return said
