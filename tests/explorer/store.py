"""The one store of a run, and how processes reach it."""

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import cast

from tests.explorer.chronicle import Chronicle
from tests.explorer.faults import Boundaries, Remote, now_s
from tests.explorer.plans import Place
from tests.support.invariants import BotMove, Settlement

from usher.adapters.memory.store import MemoryStore
from usher.adapters.memory.store_tables import Tables
from usher.domain.lifecycle import Source
from usher.ports import Change, Claim, ClaimedEffect, Created, Lane, Meeting, NewMeeting, Store, Void

SPEAKER: ContextVar[str | None] = ContextVar("speaker", default=None)
"""The connection whose report is being served."""

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def store_clock() -> datetime:
    """Return the store's time: the simulated one."""
    return EPOCH + timedelta(seconds=now_s())


class WatchedStore(MemoryStore):
    """The real in-memory store; notes what is committed, and keeps its own book of claims.

    Attributes:
        settlements: What was written under claims.
        sent_s: When commands were accepted, by connection and number.
        moves: What bots moved by their reports.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        super().__init__(store_clock)
        self._chronicle = chronicle
        self._claimed: dict[Claim, tuple[int, float]] = {}
        self.settlements: list[Settlement] = []
        self.moves: list[BotMove] = []
        self.sent_s: dict[tuple[str, int], float] = {}

    @property
    def tables(self) -> Tables:
        """What it holds."""
        return self._tables

    async def create(self, new: NewMeeting) -> Created:
        """Create, and note it."""
        created = await super().create(new)
        if not created.replayed:
            self._note(created.meeting, str(new.transition.event), "user")
        return created

    async def change(self, change: Change) -> Meeting | Void:
        """Change, and note it."""
        changed = await super().change(change)
        if isinstance(changed, Meeting):
            self._note(changed, str(change.transition.event), str(change.by), change.detail)
            if change.command is not None:
                seq = self.tables.commands[changed.meeting_id][-1].command.seq
                self.sent_s[changed.connection_id, seq] = self._now_s()
            speaker = SPEAKER.get()
            if speaker is not None and change.by is Source.BOT:
                self.moves.append(BotMove(changed.meeting_id, changed.version, self.tables.attempts[speaker]))
            self._settled(change.claim)
        return changed

    async def claim(self, lane: Lane, *, limit: int, claim_s: float) -> Sequence[ClaimedEffect]:
        """Claim, and note until when."""
        claimed = await super().claim(lane, limit=limit, claim_s=claim_s)
        for effect in claimed:
            self._claimed[effect.claim] = (effect.meeting_id, self._now_s() + claim_s)
            what = f"claims {effect.effect} (attempt {effect.attempt}, try {effect.tries + 1})"
            self._chronicle.note(now_s(), "outbox", what, effect.meeting_id)
        return claimed

    async def renew(self, claims: Sequence[Claim], *, claim_s: float) -> frozenset[int]:
        """Renew, and note until when."""
        held = await super().renew(claims, claim_s=claim_s)
        for claim in claims:
            if claim.effect_id in held:
                self._claimed[claim] = (self._claimed[claim][0], self._now_s() + claim_s)
        return held

    async def complete(self, claim: Claim) -> bool:
        """Complete, and note it."""
        return self._settled(claim, await super().complete(claim), "completes")

    async def postpone(self, claim: Claim, *, delay_s: float, error: str) -> bool:
        """Postpone, and note it."""
        done = await super().postpone(claim, delay_s=delay_s, error=error)
        return self._settled(claim, done, f"postpones by {delay_s:.1f} s ({error})")

    async def bury(self, claim: Claim, *, error: str) -> bool:
        """Bury, and note it."""
        return self._settled(claim, await super().bury(claim, error=error), f"buries ({error})")

    def _settled(self, claim: Claim | None, done: bool = True, how: str = "") -> bool:
        if claim is not None and done:
            meeting_id, until_s = self._claimed[claim]
            self.settlements.append(Settlement(meeting_id, self._now_s(), until_s))
            if how:
                self._chronicle.note(now_s(), "outbox", f"{how} effect {claim.effect_id}", meeting_id)
        return done

    def _note(self, meeting: Meeting, event: str, by: str, detail: str = "") -> None:
        self._chronicle.reported(f"{meeting.meeting_id} {meeting.version} {event}")
        what = (
            f"meeting {meeting.meeting_id} v{meeting.version}: {event} → {meeting.status} (attempt {meeting.attempt})"
        )
        self._chronicle.note(now_s(), f"by {by}", f"{what} {detail}".rstrip(), meeting.meeting_id)

    def _now_s(self) -> float:
        return self._tables.now().timestamp()


def remote_store(store: WatchedStore, boundaries: Boundaries) -> Store:
    """Return the store as processes reach it."""
    return cast("Store", Remote(store, boundaries, Place.STORE))
