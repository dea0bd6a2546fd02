"""What is known of Zoom's page: every way is one that the browser takes, and what people write feigns no sign."""

import pytest
from playwright.async_api import Page

from usher.bot.platforms.port import Presence
from usher.bot.platforms.web.driver import Driver
from usher.bot.platforms.web.knowledge import read_knowledge
from usher.bot.platforms.zoom.page import ZoomPage
from usher.bot.platforms.zoom.settling import ARRANGEMENTS
from usher.domain.lifecycle import Reason

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

_KNOWN = read_knowledge(ZoomPage.knowledge)
_TILES = """<video-player-container>
  <div class="speaker-active-container__video-frame"><div class="video-avatar__avatar">
  <div class="video-avatar__avatar-footer"><span>{name}</span></div></div></div></video-player-container>"""
_BAR = """<footer id="wc-footer">
  <button aria-label="open the participants list pane,[2] particpants">Participants</button>
  <button aria-label="open the chat panel">Chat</button><button aria-label="Leave">Leave</button></footer>"""
_MODAL = '<div class="zm-modal" role="dialog"><div class="zm-modal-body-title">{text}</div><button>OK</button></div>'
_LOBBY = '<div class="meeting-app"><button class="leave-btn">Leave</button><p>{text}</p></div>'
_CHAT = """<div class="chat-container"><div id="chat-list-content" aria-label="Chat Message List">{lines}</div></div>"""
_LINE = """<div class="chat-item-container">{head}<div class="new-chat-message__container" role="row"
  id="chat-message-content-{number}" aria-label="{sender} to Everyone, 03:43 PM, {text}">
  <div class="new-chat-message__text-content">{text}</div></div></div>"""
_ROW = """<li role="application" class="participants-li" aria-label="{name} {label},computer audio muted,video off">
  <span class="participants-item__display-name">{name}</span>
  <span class="participants-item__name-label">{label}</span></li>"""


def _inside(name: str = "Ann", more: str = "") -> str:
    return _TILES.format(name=name) + _BAR + more


@pytest.fixture
def driver(page: Page) -> Driver:
    return Driver(page, _KNOWN)


async def test_everything_that_is_pressed_has_ways() -> None:
    for arrangement in ARRANGEMENTS:
        for control in filter(None, (arrangement.press, arrangement.done, arrangement.then)):
            assert _KNOWN.ways(control)


@pytest.mark.parametrize(
    ("html", "presence"),
    [
        (_LOBBY.format(text="Please wait, the meeting host will let you in soon."), Presence.LOBBY),
        (_LOBBY.format(text="Host has joined. We\u2019ve let them know you\u2019re here."), Presence.LOBBY),
        (_LOBBY.format(text="Waiting for the host to start the meeting"), Presence.LOBBY),
        (_LOBBY.format(text="Loading…"), Presence.CONNECTING),
        (_inside(), Presence.INSIDE),
        # The bar slides out of the window; the lobby's words may stay behind.
        (f'<div style="transform: translateY(2000px)">{_inside()}</div>', Presence.INSIDE),
        (_inside(more="<p>Please wait, the meeting host will let you in soon.</p>"), Presence.INSIDE),
        # One sign alone is none.
        ('<button aria-label="Leave">Leave</button>', Presence.CONNECTING),
        (_inside(more=_MODAL.format(text="This meeting has been ended by host")), Presence.ENDED),
        (_inside(more=_MODAL.format(text="You have been removed from the meeting")), Presence.REMOVED),
        (_LOBBY.format(text="The host has denied your request to join"), Presence.REJECTED),
        (_inside(more="<p>Reconnecting...</p>"), Presence.RECONNECTING),
        ("<p>Your network connection has timed out or your organization has disabled access…</p>", Presence.BROKEN),
    ],
)
async def test_where_the_bot_is(driver: Driver, page: Page, html: str, presence: Presence) -> None:
    await page.set_content(html)
    assert (await driver.look()).presence is presence


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<p>Automated bots aren\u2019t allowed to join this meeting.</p><a>Sign in to join</a>", Reason.BLOCKED),
        ("<p>We detected you may be a bot.</p>", Reason.BLOCKED),
        ("<h1>Sign in to join this meeting</h1>", Reason.SIGN_IN_REQUIRED),
        ('<button class="login-btn-zoom">Sign in Zoom</button>', Reason.SIGN_IN_REQUIRED),
        ('<div class="component_smart_captcha">…</div>', Reason.CAPTCHA),
        ('<input placeholder="Enter captcha">', Reason.CAPTCHA),
        ('<iframe src="about:blank?recaptcha/anchor&size=normal" width="304" height="78"></iframe>', Reason.CAPTCHA),
        ("<label>Meeting Passcode</label><p>Passcode wrong</p>", Reason.PASSCODE_WRONG),
        ("<title>Error - Zoom</title><p>Invalid meeting ID.</p>", Reason.MEETING_NOT_FOUND),
        ("<title>Error - Zoom</title><p>…</p>", Reason.NOT_STARTED),
        ("<p>This meeting link is invalid (3,001)</p>", Reason.NOT_STARTED),
        # What reCAPTCHA leaves lying about on every page.
        ('<iframe src="about:blank?recaptcha/anchor&size=invisible" width="256" height="60"></iframe>', None),
        ('<iframe title="recaptcha challenge" style="visibility: hidden" width="400" height="580"></iframe>', None),
    ],
)
async def test_what_is_in_the_way(driver: Driver, page: Page, html: str, reason: Reason | None) -> None:
    await page.set_content(html)
    wall = (await driver.look()).wall
    assert (wall.reason if wall else None) is reason


_FEIGNED = (
    "You have been removed from the meeting",
    "This meeting has been ended by host",
    "Please wait, the meeting host will let you in soon.",
    "Automated bots aren't allowed",
    "Reconnecting...",
    "Your network connection has timed out",
)


@pytest.mark.parametrize("words", _FEIGNED)
async def test_what_people_write_and_are_called_is_no_sign(driver: Driver, page: Page, words: str) -> None:
    chat = _CHAT.format(lines=_LINE.format(head="", number=1, sender="Ann", text=words))
    panel = f'<div class="participants-section-container"><ul>{_ROW.format(name=words, label="")}</ul></div>'
    topic = f'<button id="meeting-info-indication" aria-label="Meeting information">{words}</button>'
    draft = f'<div contenteditable="true" role="textbox">{words}</div>'
    await page.set_content(_inside(name=words, more=chat + panel + topic + draft))
    seen = await driver.look()
    assert (seen.presence, seen.wall) == (Presence.INSIDE, None)
    await page.set_content(
        _LOBBY.format(text="The meeting host will let you in") + f'<div class="wr-title">{words}</div>'
    )
    seen = await driver.look()
    assert (seen.presence, seen.wall) == (Presence.LOBBY, None)


@pytest.mark.parametrize(
    ("label", "is_self"), [("(Me)", True), ("(Host, me)", True), ("(Ich)", True), ("(Host)", False), ("(Guest)", False)]
)
async def test_the_bot_knows_itself_by_the_pages_mark(driver: Driver, page: Page, label: str, is_self: bool) -> None:
    await page.set_content(f"<ul>{_ROW.format(name='Ann (Me)', label=label)}</ul>")
    (person,) = (await driver.look()).people
    assert (person.name, person.is_self) == ("Ann (Me)", is_self)


async def test_people_are_read_from_labels_when_class_names_are_other_ones(driver: Driver, page: Page) -> None:
    row = '<li role="application" aria-label="{}"></li>'
    labels = ("Usher (Me),computer audio muted,video off", "A B (Host),computer audio unmuted,video off", "Bo,phone")
    rows = "".join(row.format(label) for label in labels)
    await page.set_content(f'<div aria-label="participants list"><ul>{rows}</ul></div>')
    seen = await driver.look()
    assert [(person.name, person.is_self) for person in seen.people] == [("Usher", True), ("A B", False), ("Bo", False)]


async def test_who_is_shown_large_speaks(driver: Driver, page: Page) -> None:
    rows = "".join(_ROW.format(name=name, label="") for name in ("Ann", "Bob"))
    await page.set_content(f"<ul>{rows}</ul>{_inside('Bob')}")
    seen = await driver.look()
    assert {person.name: person.speaks for person in seen.people} == {"Ann": False, "Bob": True}


async def test_each_line_of_the_chat_has_its_sender(driver: Driver, page: Page) -> None:
    head = '<span class="chat-item__sender">Ann</span>'
    lines = _LINE.format(head=head, number=1, sender="Ann", text="one") + _LINE.format(
        head="", number=2, sender="Ann", text="two, at 10:30 AM, to all"
    )
    await page.set_content(_CHAT.format(lines=lines))
    seen = await driver.look()
    assert [(line.line_id, line.sender, line.text) for line in seen.chat] == [
        ("chat-message-content-1", "Ann", "one"),
        ("chat-message-content-2", "Ann", "two, at 10:30 AM, to all"),
    ]
