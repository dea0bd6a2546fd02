"""One planted bug."""

from dataclasses import dataclass


class NotPlantedError(Exception):
    """The text that a mutant replaces is not there exactly once: the code has changed, and the table has to follow."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one line.

    Attributes:
        name: What is broken, in a few words.
        path: The file, relative to `src/usher`.
        old: Text that is in the file exactly once, within one line.
        new: What takes its place.
        quick: Tests that are expected to notice it soon: files or node ids relative to `tests`.
    """

    name: str
    path: str
    old: str
    new: str
    quick: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file, relative to the repository."""
        return f"src/usher/{self.path}"

    def planted_in(self, text: str) -> str:
        """Return the text of the file with the bug in it.

        Raises:
            NotPlantedError: `old` is not in the text, or more than once.
        """
        found = text.count(self.old)
        if found != 1:
            raise NotPlantedError(f"{self.name}: {self.source} has the text {found} times: {self.old!r}")
        return text.replace(self.old, self.new)
