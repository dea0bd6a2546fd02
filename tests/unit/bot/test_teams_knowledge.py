"""What is known of Teams' page: every way is one that the browser takes, and what people write feigns no sign."""

import pytest
from playwright.async_api import Page

from usher.bot.platforms.port import Presence
from usher.bot.platforms.teams.page import TeamsPage
from usher.bot.platforms.web.driver import Driver
from usher.bot.platforms.web.knowledge import read_knowledge
from usher.domain.lifecycle import Reason

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

_KNOWN = read_knowledge(TeamsPage.knowledge)
_HANGUP = '<button id="hangup-button" data-tid="hangup-main-btn" aria-label="Leave">Leave</button>'
_MORE = '<button id="callingButtons-showMoreBtn" aria-label="More">More</button>'
_FORM = '<input data-tid="prejoin-display-name-input"><button data-tid="prejoin-join-button">Join now</button>'
_RETRY = '<h1 id="calling-retry-screen-title">{text}</h1><button data-tid="calling-retry-cancelbutton">Dismiss</button>'
_TILE = """<div role="menuitem" data-acc-element-id="stream-{name}"><div data-stream-type="{kind}" data-tid="{name}">
  {name}<div data-tid="voice-level-stream-outline" {mark}>.</div></div></div>"""
_LINE = """<div data-tid="chat-pane-item" class="{kind}">{head}
  <div data-tid="chat-pane-message" data-mid="{number}"><div data-tid="messageBodyContent">{text}</div></div></div>"""
_CAPTION = """<div data-tid="closed-caption-renderer-wrapper"><span data-tid="author">{words}</span>
  <span data-tid="closed-caption-text">{words}</span></div>"""


def _tile(name: str, mark: str = "", kind: str = "Video") -> str:
    return _TILE.format(name=name, mark=mark, kind=kind)


def _line(number: int, text: str, sender: str = "", kind: str = "fui-ChatMessage") -> str:
    head = f'<span data-tid="message-author-name">{sender}</span>' if sender else ""
    return _LINE.format(number=number, text=text, head=head, kind=kind)


@pytest.fixture
def driver(page: Page) -> Driver:
    return Driver(page, _KNOWN)


@pytest.mark.parametrize(
    ("html", "presence"),
    [
        (f"<p>Someone will let you in shortly</p>{_HANGUP}", Presence.LOBBY),
        (f"<p>Hi. Someone will let you in soon</p>{_HANGUP}", Presence.LOBBY),
        ("<p>You\u2019re in the lobby</p>", Presence.LOBBY),
        # Its words are not known, its structure is.
        (f'<div data-tid="lobby-screen">In Kürze werden Sie eingelassen</div>{_HANGUP}', Presence.LOBBY),
        # The lobby has this one too.
        (_HANGUP, Presence.CONNECTING),
        (_HANGUP + _MORE, Presence.INSIDE),
        ('<button aria-label="Verlassen">.</button><button aria-label="Chat">.</button>', Presence.INSIDE),
        ('<button data-tid="hangup-main-btn">.</button>' + _tile("Ann"), Presence.INSIDE),
        # Whoever may admit others is shown the lobby's words in the meeting.
        (f"{_HANGUP}{_MORE}<div data-tid='lobby-notification'>Bob: waiting to be admitted</div>", Presence.INSIDE),
        (f"{_HANGUP}{_MORE}<p>Connection lost</p>", Presence.RECONNECTING),
        (_RETRY.format(text="You\u2019ve been removed from this meeting"), Presence.REMOVED),
        (_RETRY.format(text="You've been removed from this meeting") + _HANGUP, Presence.REMOVED),
        (_RETRY.format(text="Sorry, but you were denied access to the meeting."), Presence.REJECTED),
        (_RETRY.format(text="Your request to join was declined"), Presence.REJECTED),
        (_RETRY.format(text="Die Besprechung wurde beendet"), Presence.ENDED),
        ("<h1>Call ended</h1>", Presence.ENDED),
        ('<div data-tid="calling-e2ee-end-screen">.</div>', Presence.ENDED),
    ],
)
async def test_where_the_bot_is(driver: Driver, page: Page, html: str, presence: Presence) -> None:
    await page.set_content(html)
    assert (await driver.look()).presence is presence


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("We need to verify your info before you can join", Reason.SIGN_IN_REQUIRED),
        ("To join, sign in or use Teams on the web", Reason.SIGN_IN_REQUIRED),
        (
            "You need to be signed in to Teams to access this meeting. Sign in with a work or school account.",
            Reason.SIGN_IN_REQUIRED,
        ),
        (
            "If you\u2019re not signed in to a Teams (work or school) account, sign in and try joining again. …",
            Reason.SIGN_IN_REQUIRED,
        ),
        ("Sign in to Teams to join, or contact the meeting organizer", Reason.SIGN_IN_REQUIRED),
        ("To join this Teams meeting, you need to be signed in to an account.", Reason.SIGN_IN_REQUIRED),
        ("To join this meeting, sign in again or select another account.", Reason.SIGN_IN_REQUIRED),
        (
            "Due to org policy, you need to sign in or use Teams on the web to join this meeting.",
            Reason.SIGN_IN_REQUIRED,
        ),
        (
            "External participants are not permitted to join before the event begins. Please join after that.",
            Reason.NOT_STARTED,
        ),
        ("Verify you\u2019re a real person", Reason.CAPTCHA),
        (
            "Looks like the meeting URL is incorrect. Please check the URL and try again.",
            Reason.MEETING_NOT_FOUND,
        ),
        ("Sorry, we couldn\u2019t connect you.", Reason.JOIN_FAILED),
    ],
)
async def test_what_is_in_the_way(driver: Driver, page: Page, text: str, reason: Reason) -> None:
    await page.set_content(f"<main><h1>{text}</h1><button>Retry</button></main>")
    wall = (await driver.look()).wall
    assert wall is not None
    assert wall.reason is reason


_FEIGNED = (
    "You've been removed from this meeting",
    "Meeting ended",
    "Sorry, but you were denied access to the meeting",
    "Verify you're a real person",
    "Connection lost",
    "Someone will let you in shortly",
)


@pytest.mark.parametrize("words", _FEIGNED)
async def test_what_people_write_and_are_called_is_no_sign(driver: Driver, page: Page, words: str) -> None:
    topic = f'<title>{words} | Microsoft Teams</title><h1 data-tid="call-title">{words}</h1>'
    draft = f'<div contenteditable="true" role="textbox">{words}</div>'
    said = _line(1, words, words) + _CAPTION.format(words=words)
    name = _tile(words.replace("'", "\u2019"))
    await page.set_content(topic + name + said + draft + _HANGUP + _MORE)
    seen = await driver.look()
    assert (seen.presence, seen.wall) == (Presence.INSIDE, None)
    await page.set_content(f"{topic}<p>You're in the lobby</p>{_HANGUP}")
    seen = await driver.look()
    assert (seen.presence, seen.wall) == (Presence.LOBBY, None)


@pytest.mark.parametrize("words", _FEIGNED[:3])
async def test_words_of_the_end_do_not_end_what_goes_on(driver: Driver, page: Page, words: str) -> None:
    await page.set_content(f'<p role="status">Ann: {words}</p>{_HANGUP}{_MORE}')
    assert (await driver.look()).presence is Presence.INSIDE
    await page.set_content(f"<h2>{words}</h2>{_FORM}")
    assert (await driver.look()).presence is Presence.CONNECTING


@pytest.mark.parametrize("mark", ['data-is-speaking="true"', 'class="fui vdi-frame-occlusion"'])
async def test_who_speaks_is_marked_in_two_ways(driver: Driver, page: Page, mark: str) -> None:
    shared = _tile("Content shared by Bob", kind="ScreenSharing")
    await page.set_content(_tile("Ann", mark) + _tile("Bob", 'data-is-speaking="false"') + shared)
    seen = await driver.look()
    assert [(one.person_id, one.name, one.speaks) for one in seen.people] == [
        ("stream-Ann", "Ann", True),
        ("stream-Bob", "Bob", False),
    ]


async def test_lines_of_the_chat_that_name_nobody_are_of_who_wrote_before_or_of_the_bot(
    driver: Driver, page: Page
) -> None:
    own = _line(3, "three", kind="fui-ChatMyMessage")
    await page.set_content(_line(1, "one", "Ann") + _line(2, "two") + own + _line(4, "four", "Bob"))
    seen = await driver.look()
    assert [(line.line_id, line.sender, line.text) for line in seen.chat] == [
        ("1", "Ann", "one"),
        ("2", "Ann", "two"),
        ("3", "You", "three"),
        ("4", "Bob", "four"),
    ]


async def test_the_client_is_found_in_the_frame_of_older_builds(driver: Driver, page: Page) -> None:
    await page.set_content('<iframe name="experience-container-frame"></iframe>')
    frame = page.frame("experience-container-frame")
    assert frame is not None
    await frame.set_content(_HANGUP + _MORE)
    assert (await driver.look()).presence is Presence.INSIDE
    assert await driver.find_now("leave") is not None
