"""What a stay in a meeting is to the rest of the bot, whoever makes it: a browser, or a script in a simulation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from usher.domain.lifecycle import Reason


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stay ended: what the bot reports and exits with.

    Attributes:
        step: On the way in, the step that did not work.
    """

    exit_code: int
    reason: Reason
    detail: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how far the stay is; each step is told once at most, in this order, and steps may be left out.

    Attributes:
        help_wanted: A person has to deal with something on the way in, for this reason; may be told again.
    """

    joining: Callable[[], None]
    waiting: Callable[[], None]
    admitted: Callable[[], None]
    help_wanted: Callable[[Reason], None]


Stay = Callable[[Progress], Awaitable[Ending]]
"""Goes into the meeting, stays, and returns how it ended. Cancellation is the wish to leave: it leaves and raises."""
