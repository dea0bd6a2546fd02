"""How a bot behaves in each kind of meeting."""

from usher.bot.platforms.port import MeetingPage, Person, Presence, Sighting
from usher.bot.platforms.registry import open_platform

__all__ = ["MeetingPage", "Person", "Presence", "Sighting", "open_platform"]
