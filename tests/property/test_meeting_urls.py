"""Every good way to name a meeting is understood, and everything else is refused as `Invalid`, never otherwise."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from usher.domain.errors import Invalid
from usher.domain.meeting import (
    Homes,
    MeetingRef,
    Platform,
    check_native_id,
    meeting_from_id,
    meeting_from_url,
    parse_platform,
)

ROOM_URL = "http://127.0.0.1:8056/room"
HOMES = Homes(ROOM_URL, janus="https://janus.example/demos/mvideoroomtest.html")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
PASSCODES = st.text(LETTERS + LETTERS.upper() + DIGITS + "._-", min_size=1, max_size=64)
TAILS = st.sampled_from(["", "/", "?", "#", "?authuser=0", "/?pli=1#frag"])


def words(alphabet: str, low: int, high: int | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=low, max_size=high or low)


NATIVE_IDS: dict[Platform, st.SearchStrategy[str]] = {
    Platform.GOOGLE_MEET: st.tuples(words(LETTERS, 3), words(LETTERS, 4), words(LETTERS, 3)).map("-".join),
    Platform.TEAMS: words(DIGITS, 10, 15),
    Platform.ZOOM: words(DIGITS, 9, 11),
    Platform.JANUS: st.integers(1, 10**16 - 1).map(str),
    Platform.ROOM: st.tuples(words(LETTERS + DIGITS, 1), words(LETTERS + DIGITS + "-", 2, 62)).map("".join),
}
NAMED = st.sampled_from(Platform).flatmap(lambda platform: st.tuples(st.just(platform), NATIVE_IDS[platform]))


@given(NAMED, st.none() | PASSCODES)
def test_every_platform_and_id_names_a_meeting(named: tuple[Platform, str], passcode: str | None) -> None:
    platform, native_id = named
    ref = meeting_from_id(platform, native_id, passcode=passcode, homes=HOMES)
    assert (ref.platform, ref.native_id) == named
    assert quote(native_id, safe="") == native_id, "the id is safe as one segment of a URL path"
    assert len(native_id) <= 255


@given(NAMED, st.none() | PASSCODES)
def test_the_url_that_usher_makes_names_the_same_meeting(named: tuple[Platform, str], passcode: str | None) -> None:
    ref = meeting_from_id(named[0], named[1], passcode=passcode, homes=HOMES)
    assert meeting_from_url(ref.url, homes=HOMES) == ref


@given(NATIVE_IDS[Platform.GOOGLE_MEET], TAILS, st.booleans())
def test_google_meet_urls(native_id: str, tail: str, shouted: bool) -> None:
    ref = meeting_from_url(f"https://meet.google.com/{native_id.upper() if shouted else native_id}{tail}", homes=HOMES)
    assert ref == MeetingRef(Platform.GOOGLE_MEET, native_id, f"https://meet.google.com/{native_id}")


@given(NATIVE_IDS[Platform.TEAMS], st.sampled_from(["teams.live.com", "teams.microsoft.com"]), st.none() | PASSCODES)
def test_teams_urls(native_id: str, host: str, passcode: str | None) -> None:
    query = f"?p={passcode}" if passcode else ""
    ref = meeting_from_url(f"https://{host}/meet/{native_id}{query}", homes=HOMES)
    assert (ref.platform, ref.native_id) == (Platform.TEAMS, native_id)
    assert ref.url.endswith(f"/meet/{native_id}{query}")


@given(
    NATIVE_IDS[Platform.ZOOM],
    st.sampled_from(["zoom.us", "us05web.zoom.us", "example.zoom.us", "app.zoom.us"]),
    st.sampled_from(["/j/{}", "/w/{}", "/s/{}", "/wc/{}/join", "/wc/{}/start"]),
    st.none() | PASSCODES,
)
def test_zoom_urls(native_id: str, host: str, path: str, passcode: str | None) -> None:
    query = f"?pwd={passcode}" if passcode else ""
    ref = meeting_from_url(f"https://{host}{path.format(native_id)}{query}", homes=HOMES)
    assert (ref.platform, ref.native_id) == (Platform.ZOOM, native_id)
    assert ref.url == f"https://app.zoom.us/wc/{native_id}/join{query}"


@given(
    NATIVE_IDS[Platform.ROOM],
    st.sampled_from([ROOM_URL, "https://meet.example.com/room", "https://meet.example.com:8443/a/b", "http://h"]),
    TAILS,
)
def test_room_urls(native_id: str, room_url: str, tail: str) -> None:
    ref = meeting_from_url(f"  {room_url}/{native_id}{tail}\n", homes=Homes(room_url))
    assert ref == MeetingRef(Platform.ROOM, native_id, f"{room_url}/{native_id}")


def test_the_default_port_of_a_room_may_be_written_out() -> None:
    ref = meeting_from_url("https://Meet.example.com:443/room/weekly", homes=Homes("https://meet.example.com/room"))
    assert ref.native_id == "weekly"


JUNK = [
    "",
    " ",
    "weekly-sync",
    "ftp://meet.google.com/abc-defg-hij",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://",
    "https://[::1",
    "https://meet.google.com:99999/abc-defg-hij",
    "https://meet.google.com/",
    "https://meet.google.com/abc-defg-hijk",
    "https://meet.google.com/lookup/abc",
    "https://meet.google.com.example.com/abc-defg-hij",
    "https://evil.com/?x=https://meet.google.com/abc-defg-hij",
    "https://meet.google.com@evil.com/abc-defg-hij",
    "https://teams.live.com/meet/123",
    "https://teams.live.com/meet/",
    "https://teams.live.com/meet/9387167464734?p=a%20b",
    "https://zoom-lfx.platform.example.org/meeting/12345678901",
    "https://notzoom.us/j/12345678901",
    "https://zoom.us/my/somebody",
    "https://zoom.us/j/12345678901?pwd=a/b",
    "http://127.0.0.1:8057/room/weekly-sync",
    "http://127.0.0.1:8056/room/",
    "http://127.0.0.1:8056/room/a/b",
    "http://127.0.0.1:8056/room/..",
    "http://127.0.0.1:8056/rooms/weekly-sync",
    "https://exa\u2100mple.com/",
    "https://\udcff.zoom.us/j/12345678901\x00",
]


@pytest.mark.parametrize("url", JUNK)
def test_what_names_no_meeting_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        meeting_from_url(url, homes=HOMES)
    assert refused.value.code in {"bad_meeting_url", "bad_meeting_id", "bad_passcode"}
    assert refused.value.detail.endswith(".")


PUNCTUATION = ("https://", "http://", "//", "/", "?", ":", "#", "@", "&", "=", "%", "[", "]", "..", "\\", " ")
HOSTS = ("meet.google.com", "teams.live.com", "zoom.us", "app.zoom.us", "127.0.0.1:8056")
PARTS = ("room", "meet", "j", "wc", "join", "pwd", "p", "9387167464734", "82345678901", "abc-defg-hij", "weekly-sync")
PIECES = st.lists(st.sampled_from(PUNCTUATION + HOSTS + PARTS) | st.text(max_size=4), max_size=10).map("".join)


def understood(name: Callable[[], MeetingRef]) -> MeetingRef | None:
    """Return what `name` names, or None if it is refused; any other exception is a bug."""
    try:
        return name()
    except Invalid:
        return None


@given(st.text(max_size=200) | PIECES | PIECES.map("https://".__add__))
@example("https://meet.google.com/abc-defg-hij\n")
def test_whatever_is_pasted_is_understood_or_refused(url: str) -> None:
    ref = understood(lambda: meeting_from_url(url, homes=HOMES))
    if ref is not None:
        assert check_native_id(ref.platform, ref.native_id) == ref.native_id
        assert meeting_from_url(ref.url, homes=HOMES) == ref


@given(st.sampled_from(Platform), st.text(max_size=300), st.none() | st.text(max_size=80))
def test_whatever_is_given_as_an_id_is_understood_or_refused(
    platform: Platform, native_id: str, passcode: str | None
) -> None:
    ref = understood(lambda: meeting_from_id(platform, native_id, passcode=passcode, homes=HOMES))
    if ref is not None:
        assert check_native_id(platform, ref.native_id) == ref.native_id
        assert meeting_from_id(platform, ref.native_id, passcode=passcode, homes=HOMES) == ref


@given(st.text(max_size=60))
def test_an_unknown_platform_is_refused_with_those_that_are_known(name: str) -> None:
    if name in set(Platform):
        return
    with pytest.raises(Invalid, match="google_meet, janus, room, teams, zoom") as refused:
        parse_platform(name)
    assert refused.value.code == "unknown_platform"


@pytest.mark.parametrize("platform", Platform)
def test_known_platforms_are_known(platform: Platform) -> None:
    assert parse_platform(str(platform)) is platform


@pytest.mark.parametrize(("query", "room"), [("", "1234"), ("?room=77", "77"), ("?room=77&simulcast=yes", "77")])
def test_the_page_of_janus_that_the_operator_named_is_a_room_of_it(query: str, room: str) -> None:
    assert HOMES.janus is not None
    assert meeting_from_url(HOMES.janus + query, homes=HOMES) == MeetingRef(
        Platform.JANUS, room, f"{HOMES.janus}?room={room}"
    )


def test_another_page_or_another_janus_is_no_meeting() -> None:
    for url in ("https://janus.example/demos/echotest.html?room=77", "https://janus.evil.example/mvideoroomtest.html"):
        with pytest.raises(Invalid, match="No platform"):
            meeting_from_url(url, homes=HOMES)
    with pytest.raises(Invalid, match="USHER_BOTS__JANUS_URL"):
        meeting_from_id(Platform.JANUS, "1234", passcode=None, homes=Homes(ROOM_URL))
