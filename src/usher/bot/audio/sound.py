"""Sound on the bot's time line."""

from dataclasses import dataclass

from usher.bot.audio.frames import Frame, count
from usher.bot.audio.tape import QUIET


@dataclass(frozen=True, slots=True)
class Sound:
    """A frame on the bot's time line.

    Attributes:
        loudness: Its largest amplitude, 0 to 1.
    """

    frame: Frame
    loudness: float

    @property
    def begin(self) -> int:
        """Position of its first sample."""
        return self.frame.position

    @property
    def end(self) -> int:
        """Position after its last sample."""
        return self.frame.position + count(self.frame)

    @property
    def middle(self) -> int:
        """Position of its middle."""
        return (self.begin + self.end) // 2

    @property
    def is_loud(self) -> bool:
        """Whether anything at all can be heard in it."""
        return self.loudness > QUIET
