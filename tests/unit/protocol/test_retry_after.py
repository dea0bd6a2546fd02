"""How long a server asks to be left alone."""

import pytest

from usher.protocol.retry_after import retry_after_s


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("0", 0.0), ("0.5", 0.5), (" 120 ", 120.0)])
def test_seconds_are_understood(header: str, seconds: float) -> None:
    assert retry_after_s(header) == seconds


@pytest.mark.parametrize(
    "header", [None, "", "-1", "nan", "inf", "1e9", "9" * 10, "soon", "³", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
def test_nothing_else_is(header: str | None) -> None:
    assert retry_after_s(header) is None
