"""Which platform is driven by which page."""

from collections.abc import Callable, Mapping

from playwright.async_api import Page

from usher.bot.platforms.google_meet.page import GoogleMeetPage
from usher.bot.platforms.janus.page import JanusPage
from usher.bot.platforms.port import JoinFailed, MeetingPage
from usher.bot.platforms.room.page import RoomPage
from usher.bot.platforms.teams.page import TeamsPage
from usher.bot.platforms.zoom.page import ZoomPage
from usher.domain.meeting import Platform

_PAGES: Mapping[Platform, Callable[[Page], MeetingPage]] = {
    Platform.JANUS: JanusPage,
    Platform.ROOM: RoomPage,
    Platform.TEAMS: TeamsPage,
    Platform.GOOGLE_MEET: GoogleMeetPage,
    Platform.ZOOM: ZoomPage,
}


def open_platform(platform: Platform, page: Page) -> MeetingPage:
    """Return how to behave on `platform`.

    Raises:
        JoinFailed: This version's bots do not know it.
    """
    if platform not in _PAGES:
        raise JoinFailed("platform", f"bots of this version do not know {platform}")
    return _PAGES[platform](page)
