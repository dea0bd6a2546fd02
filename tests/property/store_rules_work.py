"""Rules of the model test: effects and their claims, bots and their leases, commands, segments; and time."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.store_sides import EPOCH, POLICY, SOME, SPANS, STEP_S, Held, Side, TwoStores

from usher.domain.transcript import Segment
from usher.ports import Acknowledgement, Beat, ClaimedEffect, HeardSegment, Lane, Mark, Session

Heard = tuple[int, str, int, int, bool]
SEGMENT = (st.sampled_from("abc"), st.integers(0, 4))


class WorkRules(TwoStores):
    """Works off what is owed, and reports as bots do."""

    def any_claim(self) -> bool:
        """Say whether somebody ever claimed an effect."""
        return bool(self.sides[0].claims)

    @rule(lane=st.sampled_from(Lane), limit=st.integers(1, 4), span=SPANS)
    def claim(self, lane: Lane, limit: int, span: float) -> None:
        async def claimed(side: Side) -> list[tuple[object, ...]]:
            some = await side.store.claim(lane, limit=limit, claim_s=span)
            side.claims += [Held(each.claim, side.number(each.meeting_id)) for each in some]
            return [_told(side, each) for each in some]

        self.both(claimed)

    @precondition(any_claim)
    @rule(claim=SOME, what=st.sampled_from(["complete", "postpone", "bury"]), span=SPANS)
    def settle(self, claim: int, what: str, span: float) -> None:
        async def settled(side: Side) -> bool:
            mine = side.claims[claim % len(side.claims)].claim
            if what == "complete":
                return await side.store.complete(mine)
            if what == "postpone":
                return await side.store.postpone(mine, delay_s=span, error="no answer")
            return await side.store.bury(mine, error="never")

        self.both(settled)

    @precondition(any_claim)
    @rule(claims=st.lists(SOME, max_size=4), span=SPANS)
    def renew(self, claims: list[int], span: float) -> None:
        async def held(side: Side) -> set[int]:
            chosen = {claim % len(side.claims): side.claims[claim % len(side.claims)].claim for claim in claims}
            kept = await side.store.renew(list(chosen.values()), claim_s=span)
            return {number for number, claim in chosen.items() if claim.effect_id in kept}

        self.both(held)

    @rule(choices=st.lists(SOME, max_size=4), span=SPANS, attended=st.booleans())
    def beat(self, choices: list[int], span: float, attended: bool) -> None:
        """Bots beat, of former attempts too; perhaps somebody says that heartbeats are being taken."""
        ids = ["nobody", *(self.connections[choice % len(self.connections)] for choice in choices)]

        async def beaten(side: Side) -> dict[str, Beat]:
            if attended:
                await side.store.attend(silence_s=POLICY.silence_s)
            return dict(await side.store.beat(ids, lease_s=span))

        self.both(beaten)

    @rule(steps=st.integers(1, 4))
    def listen(self, steps: int) -> None:
        """Time passes while heartbeats are being taken."""
        for _ in range(steps):
            self.both(lambda side: side.store.attend(silence_s=POLICY.silence_s))
            self.pass_time()
        self.both(lambda side: side.overview())

    @rule(choice=SOME, seq=st.integers(0, 4), outcome=st.sampled_from(["applied", "refused"]))
    def acknowledge(self, choice: int, seq: int, outcome: str) -> None:
        connection_id = self.connections[choice % len(self.connections)]
        self.both(lambda side: side.store.acknowledge(connection_id, Acknowledgement(seq, outcome)))
        self.both(lambda side: side.store.pending(connection_id, after_seq=seq))

    @rule(batch=st.lists(st.tuples(SOME, *SEGMENT, st.integers(0, 9), st.booleans()), max_size=6))
    def hear(self, batch: list[Heard]) -> None:
        async def heard(side: Side) -> dict[int, int]:
            some = [HeardSegment(side.meetings[each[0] % len(side.meetings)], _segment(each)) for each in batch]
            taken = await side.store.save([Session(each.meeting_id, "s", EPOCH) for each in some], some)
            return {side.number(meeting_id): edition for meeting_id, edition in taken.items()}

        self.both(heard)

    @rule(asked=st.lists(st.tuples(SOME, *SEGMENT), max_size=6))
    def confirm(self, asked: list[tuple[int, str, int]]) -> None:
        """Ask which segments are committed."""

        async def confirmed(side: Side) -> set[tuple[int, str, int]]:
            marks = [Mark(side.meetings[number % len(side.meetings)], *mark) for number, *mark in asked]  # type: ignore[arg-type]  # a slice forgets the kinds of its items
            stored = await side.store.stored(marks)
            return {(side.number(mark.meeting_id), mark.segment_id, mark.revision) for mark in stored}

        self.both(confirmed)

    @rule()
    def pass_time(self) -> None:
        self.both(lambda side: side.pass_time(STEP_S))

    @rule(span=SPANS)
    def prune(self, span: float) -> None:
        """Forget what is old; afterwards both sides answer alike about it."""
        self.both(lambda side: side.store.prune(older_than_s=span, limit=1000))
        for connection_id in self.connections:
            self.both(lambda side, of=connection_id: side.store.attempt_of(of))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        self.both(lambda side: side.store.ping(timeout_s=60.0))


def _told(side: Side, claimed: ClaimedEffect) -> tuple[object, ...]:
    return (
        side.number(claimed.meeting_id),
        claimed.attempt,
        claimed.effect,
        claimed.tries,
        claimed.version,
        claimed.notice,
    )


def _segment(heard: Heard) -> Segment:
    _, segment_id, revision, start_s, completed = heard
    start = EPOCH + timedelta(seconds=start_s)
    return Segment(segment_id, revision, "s", start_s, start_s + 1, start, start, f"{revision}", None, "en", completed)
