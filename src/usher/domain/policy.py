"""Retries, back-off, deadlines and limits: numbers with units, and the pure rules over them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off without jitter (the caller adds it where many wait for one thing)."""

    first_s: float
    factor: float
    most_s: float

    def delay_s(self, tries: int) -> float:
        """Seconds to wait after the given number of failed tries (1 or more)."""
        exponent = min(max(tries, 1) - 1, 32)
        return min(self.first_s * self.factor**exponent, self.most_s)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a meeting may stay in a state before silence is a verdict, in seconds.

    `active` counts from the moment the bot was first admitted, all others from the entry into the state.
    """

    requested_s: float = 900.0
    starting_s: float = 120.0
    joining_s: float = 180.0
    awaiting_admission_s: float = 930.0
    active_s: float = 4 * 3600.0
    reconfiguring_s: float = 30.0
    stopping_s: float = 60.0
    error_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """Every number that shapes how a meeting lives and dies.

    Attributes:
        deadlines: How long a meeting may stay in a state.
        max_attempts: Launches of one meeting at most.
        retry: Between two launches of one meeting.
        effect_retry: Between two tries of one effect.
        room_retry: Between two tries of a launch that the launcher has no room for.
        effect_tries: After so many an effect is buried.
        effect_timeout_s: How long one try may take.
        claim_s: After so long without a renewal the work of a dispatcher is somebody else's.
        claim_renewal_s: Between two renewals of claims.
        command_again_s: Without an acknowledgement until a command is published again.
        leave_grace_s: For a graceful leave before the kill.
        kill_grace_s: For a workload to end by itself when it is being stopped.
        scheduled_lead_s: How long before its join time a bot is launched.
        missed_after_s: How long after its join time a bot that found no seat is still wanted.
        heartbeat_s: Between two heartbeats of a bot.
        lease_s: Without a heartbeat until a bot counts as dead.
        silence_s: When nobody took heartbeats for longer, every bot gets a whole lease to be heard again.
        admission_timeout_s: In the lobby.
    """

    deadlines: Deadlines = Deadlines()
    max_attempts: int = 3
    retry: Backoff = Backoff(first_s=2.0, factor=4.0, most_s=60.0)
    effect_retry: Backoff = Backoff(first_s=0.5, factor=2.0, most_s=30.0)
    room_retry: Backoff = Backoff(first_s=1.0, factor=2.0, most_s=10.0)
    effect_tries: int = 20
    effect_timeout_s: float = 60.0
    claim_s: float = 3.5
    claim_renewal_s: float = 1.0
    command_again_s: float = 1.0
    leave_grace_s: float = 20.0
    kill_grace_s: float = 5.0
    scheduled_lead_s: float = 60.0
    missed_after_s: float = 600.0
    heartbeat_s: float = 10.0
    lease_s: float = 22.0
    silence_s: float = 5.0
    admission_timeout_s: float = 900.0
