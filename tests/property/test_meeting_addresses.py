"""Addresses as people paste them: every form is read, wrapped or not, and what only looks like one is refused."""

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlsplit

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
    tidy_native_id,
)

HOMES = Homes("http://127.0.0.1:8056/room")
THREAD = "19:meeting_Y2Ziabc-_x@thread.v2"
CONTEXT = '{"Tid":"72f988bf-86f1-41af-91ab-2d7cd011db47","Oid":"a1b2"}'
DERIVED = hashlib.sha256(THREAD.encode()).hexdigest()[:16]
LINKED = f"/l/meetup-join/{quote(THREAD, safe='')}/0?context={quote(CONTEXT, safe='')}"
TEAMS = {
    "teams.live.com",
    "teams.microsoft.com",
    "teams.cloud.microsoft",
    "gov.teams.microsoft.us",
    "dod.teams.microsoft.us",
}


def named(text: str) -> MeetingRef:
    """Read what was pasted."""
    return meeting_from_url(text, homes=HOMES)


FORMS = {
    "https://meet.google.com/abc-defg-hij?authuser=1&hs=122": "https://meet.google.com/abc-defg-hij",
    "https://meet.google.com/abcdefghij": "https://meet.google.com/abc-defg-hij",
    "https://meet.google.com/_meet/abc-defg-hij?ijlm=1": "https://meet.google.com/abc-defg-hij",
    "https://tel.meet/abc-defg-hij?pin=1234567890": "https://meet.google.com/abc-defg-hij",
    "meet.google.com/abc-defg-hij": "https://meet.google.com/abc-defg-hij",
    "https://teams.microsoft.com/meet/2345678901234?p=aB3": "https://teams.microsoft.com/meet/2345678901234?p=aB3",
    "https://teams.cloud.microsoft/meet/2345678901234": "https://teams.cloud.microsoft/meet/2345678901234",
    "https://teams.live.com/meet/9387167464734?p=aB3": "https://teams.live.com/meet/9387167464734?p=aB3",
    "https://teams.microsoft.com/v2/?meetingjoin=true#/meet/2345678901234?p=aB3&anon=true": (
        "https://teams.microsoft.com/meet/2345678901234?p=aB3"
    ),
    "https://teams.live.com/v2/?meetingjoin=true#/meet/9387167464734?p=aB3": "https://teams.live.com/meet/9387167464734?p=aB3",
    "msteams:/meet/2345678901234?p=aB3": "https://teams.microsoft.com/meet/2345678901234?p=aB3",
    f"https://teams.microsoft.com{LINKED}": f"https://teams.microsoft.com{LINKED}",
    f"https://teams.microsoft.com/l/meetup-join/{THREAD}/0?context={quote(CONTEXT)}": f"https://teams.microsoft.com{LINKED}",
    f"https://gov.teams.microsoft.us{LINKED}": f"https://gov.teams.microsoft.us{LINKED}",
    f"https://dod.teams.microsoft.us{LINKED}&anon=true": f"https://dod.teams.microsoft.us{LINKED}",
    f"https://teams.microsoft.com/_#{LINKED}": f"https://teams.microsoft.com{LINKED}",
    f"https://teams.microsoft.com/v2/?meetingjoin=true#{LINKED}&anon=true&deeplinkId=1": f"https://teams.microsoft.com{LINKED}",
    f"https://teams.microsoft.com/dl/launcher/launcher.html?url={quote('/_#' + LINKED, safe='')}&type=meetup-join": (
        f"https://teams.microsoft.com{LINKED}"
    ),
    f"msteams:{LINKED}": f"https://teams.microsoft.com{LINKED}",
    f"msteams://teams.microsoft.com{LINKED}": f"https://teams.microsoft.com{LINKED}",
    "https://acme.zoom.us/j/82345678901?pwd=QWERasdf09.1#success": "https://app.zoom.us/wc/82345678901/join?pwd=QWERasdf09.1",
    "https://us02web.zoom.us/w/82345678901?tk=x.AG.y&pwd=ab": "https://app.zoom.us/wc/82345678901/join?pwd=ab",
    "https://zoom.us/s/82345678901?zak=secret": "https://app.zoom.us/wc/82345678901/join",
    "https://zoom.us/wc/join/82345678901?pwd=ab": "https://app.zoom.us/wc/82345678901/join?pwd=ab",
    "https://app.zoom.us/wc/82345678901/start": "https://app.zoom.us/wc/82345678901/join",
    "https://zoom.us/launch/jc/82345678901": "https://app.zoom.us/wc/82345678901/join",
    "zoom.us/j/823 4567 8901": None,
    "https://zoom.us/j/823%204567%208901": "https://app.zoom.us/wc/82345678901/join",
    "zoommtg://zoom.us/join?action=join&confno=82345678901&pwd=ab": "https://app.zoom.us/wc/82345678901/join?pwd=ab",
    "zoomus://us02web.zoom.us/join?confno=82345678901": "https://app.zoom.us/wc/82345678901/join",
    "https://www.zoomgov.com/j/1612345678?pwd=ab": "https://www.zoomgov.com/wc/1612345678/join?pwd=ab",
    "https://acme.zoom.com.cn/j/82345678901": "https://acme.zoom.com.cn/wc/82345678901/join",
    "https://events.zoom.us/ejl/AbC_dEf-123?x=1": "https://events.zoom.us/ejl/AbC_dEf-123",
}


@pytest.mark.parametrize(("pasted", "joined"), [(pasted, joined) for pasted, joined in FORMS.items() if joined])
def test_each_form_is_read(pasted: str, joined: str) -> None:
    ref = named(pasted)
    assert ref.url == joined
    assert named(ref.url) == ref
    if "meetup-join" in joined:
        assert ref.native_id == DERIVED


def urldefense_2(link: str) -> str:
    """Wrap as Proofpoint's second form does."""
    plain = quote(link, safe=":/=.~")
    written = (
        plain.replace("-", "%2D")
        .replace("_", "%5F")
        .replace("/", "_")
        .replace("%", "-")
        .replace(":", "-3A")
        .replace("=", "-3D")
    )
    return f"https://urldefense.proofpoint.com/v2/url?u={written}&d=DwMFaQ&c=x"


def urldefense_3(link: str) -> str:
    """Wrap as Proofpoint's third form does, with some signs taken out."""
    out = "".join(sign for sign in link if sign in "?=&")
    written = "".join("*" if sign in "?=&" else sign for sign in link)
    signs = base64.urlsafe_b64encode(out.encode()).decode().rstrip("=")
    return f"https://urldefense.com/v3/__{written}__;{signs}!!AbC!xyz$"


WRAPPERS: tuple[Callable[[str], str], ...] = (
    lambda link: link,
    lambda link: f"https://www.google.com/url?q={quote(link, safe='')}&sa=D&source=calendar&usg=x",
    lambda link: f"https://meet.google.com/linkredirect?authuser=0&dest={quote(link, safe='')}",
    lambda link: f"https://nam12.safelinks.protection.outlook.com/?url={quote(link, safe='')}&data=05%7C01&reserved=0",
    lambda link: f"https://nam12.safelinks.protection.outlook.com/ap/w-1/?url={quote(link, safe='')}",
    lambda link: f"https://urldefense.proofpoint.com/v1/url?u={quote(link, safe='')}&k=x",
    urldefense_2,
    urldefense_3,
)
AROUND: tuple[Callable[[str], str], ...] = (
    lambda link: link,
    lambda link: f"  {link}\n",
    lambda link: f"<{link}>",
    lambda link: f'"{link}"',
    lambda link: f"Join Zoom Meeting\n{link}\n\nOne tap mobile +13017158592,,82345678901#",
    lambda link: f"Please join here: {link} (audio only).",
    lambda link: f"[Join the meeting]({link})",
    lambda link: f"Join the meeting now<{link}>\nNeed help?<https://aka.ms/JoinTeamsMeeting?omkt=en-US>",
    lambda link: f'<a href="{link.replace("&", "&amp;")}">Join</a>',
    lambda link: f"\u200b{link}\u200b",
)
LINKS = st.sampled_from(
    [form for form, joined in FORMS.items() if joined and form.startswith("https://") and " " not in form]
)


@given(LINKS, st.lists(st.sampled_from(WRAPPERS), max_size=2), st.sampled_from(AROUND))
def test_wrappers_and_words_around_do_no_harm(
    link: str, wrappers: list[Callable[[str], str]], around: Callable[[str], str]
) -> None:
    wrapped = link
    for wrap in wrappers:
        wrapped = wrap(wrapped)
    assert named(around(wrapped)) == named(link)


@given(LINKS, st.sampled_from(".,;:!?)]}>*\u201d"))
def test_a_sign_that_ends_the_sentence_is_no_part_of_the_address(link: str, sign: str) -> None:
    assert named(f"It is at {link}{sign} See you.") == named(link)


PASSCODES = st.text("abcXYZ019._@*!$=-", min_size=1, max_size=64)
NUMBERED = {
    Platform.TEAMS: (st.text("0123456789", min_size=10, max_size=15), "https://teams.live.com/meet/{}?p={}", "p"),
    Platform.ZOOM: (st.text("0123456789", min_size=9, max_size=11), "https://acme.zoom.us/j/{}?pwd={}", "pwd"),
}


@given(st.sampled_from(list(NUMBERED)), st.data())
def test_a_passcode_stays_in_the_query_and_out_of_the_id(platform: Platform, data: st.DataObject) -> None:
    numbers, form, name = NUMBERED[platform]
    number, passcode = data.draw(numbers), data.draw(PASSCODES)
    ref = named(form.format(number, quote(passcode, safe="")))
    assert (ref.platform, ref.native_id) == (platform, number)
    parts = urlsplit(ref.url)
    assert parse_qs(parts.query) == {name: [passcode]}
    assert named(form.partition("?")[0].format(number)).url == parts._replace(query="").geturl()
    assert named(ref.url) == ref
    assert meeting_from_id(platform, number, passcode=passcode, homes=HOMES).native_id == number


HOST_OF: dict[Platform, Callable[[str], bool]] = {
    Platform.GOOGLE_MEET: lambda host: host == "meet.google.com",
    Platform.TEAMS: lambda host: host in TEAMS,
    Platform.ZOOM: lambda host: any(
        host == name or host.endswith("." + name) for name in ("zoom.us", "zoomgov.com", "zoom.com.cn")
    ),
    Platform.ROOM: lambda host: host == "127.0.0.1",
}
SIGNS = (
    "/",
    "?",
    "#",
    "@",
    "%",
    "&",
    "=",
    "*",
    "__",
    "__;",
    "!",
    "\\",
    " ",
    "<",
    ">",
    "https://",
    "zoommtg://",
    "msteams:",
)
HOSTS = (
    "zoom.us",
    ".zoom.us",
    "teams.microsoft.com",
    "meet.google.com",
    "evil.com",
    "www.google.com",
    "events.zoom.us/ev/",
)
PATHS = (
    "/j/",
    "/wc/",
    "/meet/",
    LINKED,
    "/url?q=",
    "urldefense.com/v3/__",
    "82345678901",
    "9387167464734",
    "abc-defg-hij",
)
PIECES = st.lists(st.sampled_from((*FORMS, *SIGNS, *HOSTS, *PATHS)) | st.text(max_size=4), max_size=8).map("".join)


def understood(text: str) -> MeetingRef | None:
    """Return what the text names, or None if it is refused; any other exception is a bug."""
    try:
        return named(text)
    except Invalid:
        return None


@given(PIECES)
@example("https://urldefense.com/v3/__https:/zoom.us/j/82345678901__;!!x$")
@example("https://urldefense.com/v3/__a__;\ud800!")
@example("https://urldefense.com/v3/__**A__;!")
@example("https://evil.com\\@zoom.us/j/82345678901")
@example("https://zoom.us/ev/x https://events.zoom.us/ev/..")
def test_whatever_is_read_has_a_good_id_and_an_address_of_the_platform(text: str) -> None:
    ref = understood(text)
    if ref is None:
        return
    assert check_native_id(ref.platform, ref.native_id) == ref.native_id
    assert quote(ref.native_id, safe="") == ref.native_id
    assert len(ref.native_id) <= 255
    parts = urlsplit(ref.url)
    assert HOST_OF[ref.platform](parts.hostname or "")
    assert "@" not in parts.netloc
    assert named(ref.url) == ref
    assert all(sign.isascii() and sign.isprintable() and sign not in " <>\"'\\" for sign in ref.url)


@pytest.mark.parametrize(
    "text",
    [
        "https://zoom.us.evil.com/j/82345678901",
        "https://evilzoom.us/j/82345678901",
        "https://zoom-lfx.platform.example.org/meeting/82345678901",
        "https://zoom.us@evil.com/j/82345678901",
        "https://evil.com\\@zoom.us/j/82345678901",
        "https://zoom.us:8443/j/82345678901",
        "https://teams.microsoft.com.evil.com/meet/2345678901234",
        "https://xteams.live.com/meet/9387167464734",
        "https://meet.google.com.evil.com/abc-defg-hij",
        "https://meet.google.evil.com/abc-defg-hij",
        "https://mеet.google.com/abc-defg-hij",  # noqa: RUF001 - a Cyrillic letter
        "https://evil.com/url?q=https://meet.google.com/abc-defg-hij",
        "https://safelinks.protection.outlook.com.evil.com/?url=https%3A%2F%2Fzoom.us%2Fj%2F82345678901",
        "ftp://zoom.us/j/82345678901",
        "someone@zoom.us/j/82345678901",
    ],
)
def test_what_looks_like_a_platform_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        named(text)
    assert refused.value.code == "bad_meeting_url"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("https://meet.google.com/lookup/abcdefg", "lookup"),
        ("https://meet.google.com/weekly-sync", "Nicknames"),
        ("https://meet.google.com/landing", "no code"),
        ("https://zoom.us/my/somebody", "personal link"),
        ("https://zoom.us/meeting/register/tJ0kd", "registration"),
        ("https://us02web.zoom.us/webinar/register/WN_x", "registration"),
        ("https://zoom.us/rec/share/abc", "recording"),
        ("https://zoom.us/pricing", "/j/"),
        ("https://events.zoom.us/", "Events"),
        ("https://teams.microsoft.com/l/team/19%3aabc%40thread.tacv2/conversations", "/l/meetup-join/"),
        ("https://teams.microsoft.com/l/meetup-join/19%3ameeting_abc", "cut off"),
        ("https://teams.microsoft.com/meetingOptions/?organizerId=x", "/meet/"),
        ("https://teams.microsoft.com/meet/0123456789abcdef", "digits"),
        ("https://zoom.us/j/82345678901 and https://zoom.us/j/82345678902", "2 meetings"),
        ("Hello there", "https://"),
        ("https://example.com/x and then https://zoom.us/my/somebody", "personal link"),
    ],
)
def test_a_refusal_says_what_to_do(text: str, word: str) -> None:
    with pytest.raises(Invalid, match=word) as refused:
        named(text)
    assert refused.value.code == "bad_meeting_url"


def test_a_meeting_named_twice_is_one_and_keeps_its_passcode() -> None:
    ref = named("https://zoom.us/j/82345678901 or https://zoom.us/j/82345678901?pwd=ab or https://us02web.zoom.us/u/kx")
    assert ref.url == "https://app.zoom.us/wc/82345678901/join?pwd=ab"


@pytest.mark.parametrize(
    ("platform", "copied", "native_id"),
    [
        (Platform.ZOOM, "823 4567 8901", "82345678901"),
        (Platform.ZOOM, " 823-4567-8901 ", "82345678901"),
        (Platform.ZOOM, "823\u00a04567\u20138901", "82345678901"),
        (Platform.TEAMS, "234 567 890 123 4", "2345678901234"),
        (Platform.GOOGLE_MEET, "ABC-DEFG-HIJ", "abc-defg-hij"),
        (Platform.GOOGLE_MEET, "abcdefghij", "abc-defg-hij"),
        (Platform.GOOGLE_MEET, "abc defg hij", "abc-defg-hij"),
        (Platform.ROOM, " weekly-sync ", "weekly-sync"),
    ],
)
def test_ids_are_read_as_people_copy_them(platform: Platform, copied: str, native_id: str) -> None:
    assert tidy_native_id(platform, copied) == native_id
    assert meeting_from_id(platform, copied, passcode=None, homes=HOMES).native_id == native_id
    with pytest.raises(Invalid):
        check_native_id(platform, copied)


@pytest.mark.parametrize("platform", [Platform.TEAMS, Platform.ZOOM])
def test_an_id_that_was_made_from_a_link_alone_leads_nowhere(platform: Platform) -> None:
    assert check_native_id(platform, DERIVED) == DERIVED
    with pytest.raises(Invalid, match="by the link"):
        meeting_from_id(platform, DERIVED, passcode=None, homes=HOMES)
