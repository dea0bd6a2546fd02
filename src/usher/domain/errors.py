"""Errors by what the caller can do about them.

Only `usher.api.problems` knows how they look over HTTP. Expected outcomes (an ignored report, a missing row where
absence is normal) are values, not errors.
"""

from usher.domain.lifecycle import Reason


class UsherError(Exception):
    """Root of every error that Usher raises on purpose."""


class Rejected(UsherError):
    """The request cannot be accepted as it is; the caller has to change something.

    Args:
        code: Stable machine-readable word, snake_case, part of the API contract.
        detail: One sentence for a person: what is wrong and what to change.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Invalid(Rejected):
    """The input is malformed or contradicts itself."""


class NotFound(Rejected):
    """Nothing by that name belongs to the caller."""


class Conflict(Rejected):
    """The request contradicts the present state."""


class LimitReached(Rejected):
    """The caller's own limit is used up; one of their bots has to end first."""


class TooFast(LimitReached):
    """The caller makes more requests than it may.

    Args:
        code: See `Rejected`.
        detail: See `Rejected`.
        retry_after_s: When the next one is let in.
    """

    def __init__(self, code: str, detail: str, retry_after_s: float) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


class NotAllowed(Rejected):
    """The credentials are missing, wrong, or over."""


class Forbidden(Rejected):
    """The credentials are good, and do not reach that far."""


class Superseded(Rejected):
    """The reporter belongs to an attempt that is over; it has to leave and exit."""


class Unavailable(UsherError):
    """Something outside does not answer; the same call may work later.

    Args:
        detail: One sentence for a person: what does not answer.
        retry_after_s: When a new try makes sense.
    """

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class CannotStore(UsherError):
    """What was sent cannot be kept, and sending it again does not help: there is no space, or no right to write.

    Args:
        detail: One sentence for a person.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NoRoom(Unavailable):
    """The launcher answers, has no room for the workload at present, and nothing of it is running."""


class LaunchRejected(UsherError):
    """The launcher says that this workload can never run, and that nothing of it is running.

    Args:
        detail: One sentence for a person.
        reason: Why, where it is a word of its own.
    """

    def __init__(self, detail: str, reason: Reason = Reason.LAUNCH_REJECTED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


class InvariantBroken(UsherError):
    """A bug in Usher: a state that the design excludes was met."""
