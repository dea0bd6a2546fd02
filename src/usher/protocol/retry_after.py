"""The header `Retry-After` of servers that we ask.

Source: RFC 9110, section 10.2.3. Dates are not understood: what they mean depends on whose clock is right.
"""

import re

_SECONDS = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*")


def retry_after_s(header: str | None) -> float | None:
    """Return how long a server asks to be left alone, in seconds; None if it does not ask, or with a date."""
    found = _SECONDS.fullmatch(header or "")
    return float(found[1]) if found else None
