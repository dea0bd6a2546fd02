"""Records what is heard: a file for each speaker and one of all, encoded, cut into chunks and uploaded on the way."""

from usher.bot.recording.recorder import Recorder

__all__ = ["Recorder"]
