"""Which platform is driven by which page."""

from collections.abc import Callable, Mapping

from playwright.async_api import Page

from usher.bot.platforms.port import JoinFailed, MeetingPage
from usher.bot.platforms.room.page import RoomPage
from usher.domain.meeting import Platform

_PAGES: Mapping[Platform, Callable[[Page], MeetingPage]] = {Platform.ROOM: RoomPage}


def open_platform(platform: Platform, page: Page) -> MeetingPage:
    """Return how to behave on `platform`.

    Raises:
        JoinFailed: This version's bots do not know it.
    """
    if platform not in _PAGES:
        raise JoinFailed("platform", f"bots of this version do not know {platform}")
    return _PAGES[platform](page)
