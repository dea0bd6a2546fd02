"""What is known of any web client has a form that the browser takes, and an empty page shows nothing of it."""

import itertools

import pytest
from playwright.async_api import Page, Route

from usher.bot.platforms.google_meet.page import GoogleMeetPage
from usher.bot.platforms.janus.page import JanusPage
from usher.bot.platforms.port import Presence
from usher.bot.platforms.teams.page import TeamsPage
from usher.bot.platforms.web.driver import Driver
from usher.bot.platforms.web.knowledge import Knowledge, read_knowledge
from usher.bot.platforms.zoom.page import ZoomPage

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

_KNOWN = {page.__name__: read_knowledge(page.knowledge) for page in (GoogleMeetPage, JanusPage, TeamsPage, ZoomPage)}


@pytest.fixture(params=_KNOWN)
def driver(request: pytest.FixtureRequest, page: Page) -> Driver:
    return Driver(page, _KNOWN[request.param])


def _controls(known: Knowledge) -> list[str]:
    return [*known.controls, *(("chat_open", "chat_field", "chat_send") if known.chat else ())]


async def test_every_way_to_a_control_is_one_that_the_browser_takes(driver: Driver, page: Page) -> None:
    await page.set_content("")
    for control in _controls(driver.knowledge):
        for way in driver.knowledge.ways(control):
            assert await driver.first_visible([way], control) is None, control


async def test_every_way_past_an_obstacle_is_one_that_the_browser_takes(driver: Driver, page: Page) -> None:
    await page.set_content("")
    for obstacle in driver.knowledge.obstacles:
        assert await driver.first_visible(obstacle.press, "obstacle") is None


async def test_a_page_that_says_nothing_is_nowhere(driver: Driver, page: Page) -> None:
    await page.set_content("<p>Hello. This page is protected by reCAPTCHA, and their terms of service apply.</p>")
    seen = await driver.look()
    assert (seen.presence, seen.wall, seen.people, seen.chat) == (Presence.CONNECTING, None, (), ())


async def test_the_facts_have_a_date_and_a_source(driver: Driver) -> None:
    assert driver.knowledge.checked.year >= 2026
    assert driver.knowledge.source


async def test_a_page_that_goes_elsewhere_is_looked_at_there(driver: Driver, page: Page) -> None:
    """Pages send themselves on, some of them several times: a look falls between two documents now and then."""
    loads = itertools.count()

    async def serve(route: Route) -> None:
        moving = "<script>setTimeout(() => location.reload(), 20)</script>" if next(loads) < 20 else ""
        await route.fulfill(body=f"{moving}<p>Hello{'<p>there' * 2000}", content_type="text/html")

    await page.route("http://moving.example/", serve)
    await page.goto("http://moving.example/", wait_until="commit")
    for _ in range(10):
        assert (await driver.look()).presence is Presence.CONNECTING
    await page.goto("about:blank")
    await page.unroute_all()
