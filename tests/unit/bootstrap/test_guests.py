"""What a user's bots bring: read from the operator's files, and never half."""

import json
from pathlib import Path

import pytest

from usher.bootstrap.guests import Guest, read_guest
from usher.domain.errors import LaunchRejected

_STATE = {"cookies": [{"name": "SID", "value": "secret", "domain": ".google.com", "path": "/"}], "origins": []}


def test_each_user_brings_their_own(tmp_path: Path) -> None:
    (tmp_path / "7.profile.json").write_text(json.dumps(_STATE, indent=2))
    (tmp_path / "7.proxy").write_text("http://ann:pass%20word@proxy.example:3128\n")
    (tmp_path / "8.proxy").write_text("socks5://proxy.example:1080")
    ann = read_guest(tmp_path, 7)
    assert ann.profile is not None
    assert json.loads(ann.profile) == _STATE
    assert ann.proxy == "http://ann:pass%20word@proxy.example:3128"
    assert read_guest(tmp_path, 8) == Guest(None, "socks5://proxy.example:1080")
    assert read_guest(tmp_path, 9) == read_guest(None, 7) == Guest()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("7.profile.json", "not JSON"),
        ("7.profile.json", "[]"),
        ("7.profile.json", '{"cookies": "none"}'),
        ("7.profile.json", json.dumps({**_STATE, "origins": ["x" * 100_000]})),
        ("7.proxy", "proxy.example:3128"),
        ("7.proxy", "ftp://proxy.example"),
        ("7.proxy", "http://proxy.example:port"),
        ("7.proxy", ""),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_launch_and_its_secrets_are_not_told(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LaunchRejected) as refused:
        read_guest(tmp_path, 7)
    assert not text or text not in refused.value.detail


def test_a_file_that_cannot_be_read_stops_the_launch(tmp_path: Path) -> None:
    (tmp_path / "7.profile.json").mkdir()
    with pytest.raises(LaunchRejected, match=r"7\.profile\.json"):
        read_guest(tmp_path, 7)
