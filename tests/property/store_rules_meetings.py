"""Rules of the model test: meetings, their changes, and the users who have them."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.contract.store_worlds import decided, request, schedule
from tests.property.store_sides import SOME, SPANS, Side, TwoStores

from usher.domain.errors import InvariantBroken, NotFound
from usher.domain.lifecycle import STANDING, TABLE, TERMINAL, Reason, State
from usher.ports import Change, Configuration, IdempotencyKey, Meeting, NewMeeting, Void, Webhook

EXTRAS = st.fixed_dictionaries(
    {
        "reason": st.none() | st.sampled_from(Reason),
        "failure_stage": st.none() | st.sampled_from(State),
        "desired_configuration": st.none() | st.builds(Configuration, st.none() | st.just("de"), st.just("translate")),
        "command": st.none() | st.sampled_from(["reconfigure", "leave"]),
        "deadline_s": SPANS,
        "deadline_from_start": st.booleans(),
        "deadline_cap_s": st.none() | SPANS,
        "expire_commands": st.booleans(),
        "expire_changes": st.booleans(),
        "adopt_configuration": st.booleans(),
        "drop_configuration": st.booleans(),
        "workload": st.none() | st.sampled_from(["usher-1-1", "usher-1-2"]),
        "detail": st.sampled_from(["", "exit code 1"]),
    }
)
"""What a change may carry beside its transition."""

Extras = dict[str, Any]
JSON = st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 9) | st.text(max_size=3))


class MeetingRules(TwoStores):
    """Creates meetings and moves them along the table, or tries to."""

    def any_claim(self) -> bool:
        """Say whether somebody ever claimed an effect."""
        return bool(self.sides[0].claims)

    @rule(
        user=st.integers(0, 1),
        call=st.integers(0, 5),
        later=st.booleans(),
        key=st.sampled_from([None, None, "k1", "k2"]),
        body=st.sampled_from([b"1", b"2"]),
        span=SPANS,
    )
    def create(self, user: int, call: int, later: bool, key: str | None, body: bytes, span: float) -> None:
        connection_id = str(uuid.uuid4())
        join_at = datetime.now(UTC) + timedelta(seconds=span)

        def new(side: Side) -> NewMeeting:
            owner, native_id = side.users[user], f"call-{call}"
            when = join_at + side.passed
            asked = replace(schedule(owner, when, native_id), lead_s=0.0) if later else request(owner, native_id)
            return replace(
                asked,
                connection_id=connection_id,
                deadline_s=span,
                idempotency=None if key is None else IdempotencyKey(key, body),
            )

        self.create_on_both(new)

    @rule(steps=st.lists(st.tuples(SOME, SOME, EXTRAS), min_size=1, max_size=6))
    def move(self, steps: list[tuple[int, int, Extras]]) -> None:
        """Write changes that nothing but a missing seat stands in the way of."""
        for meeting, choice, extras in steps:
            number, change = self._legal(meeting, choice, extras)
            if change is not None:
                self._change(number, change)

    @rule(meeting=SOME, choice=SOME, extras=EXTRAS, odd=st.sampled_from(["stale", "elsewhere", "claim"]), claim=SOME)
    def move_oddly(self, meeting: int, choice: int, extras: Extras, odd: str, claim: int) -> None:
        """Try changes on an old version, from another state, or with a claim that may be anybody's."""
        number, change = self._legal(meeting, choice, extras)
        if change is not None:
            self._change(number, _spoilt(change, odd), claim if odd == "claim" else None)

    @precondition(any_claim)
    @rule(claim=SOME, choice=SOME, extras=EXTRAS)
    def report(self, claim: int, choice: int, extras: Extras) -> None:
        """Write the outcome of a claimed effect, if the claim is still good."""
        number = self.sides[0].claims[claim % len(self.sides[0].claims)].number
        _, change = self._legal(number, choice, extras)
        if change is not None:
            self._change(number, change, claim)

    @rule(meeting=SOME, data=JSON, keep=st.booleans())
    def put_data(self, meeting: int, data: Mapping[str, object], keep: bool) -> None:
        number = meeting % len(self.sides[0].meetings)

        async def put(side: Side) -> Meeting | None:
            put = await side.store.put_data(side.meetings[number], data, keep=keep)
            return None if put is None else side.plain(put)

        self.both(put)
        self.compare(number)

    @rule(choice=SOME, user=st.integers(0, 1), call=st.integers(0, 5))
    def look_up(self, choice: int, user: int, call: int) -> None:
        """Find meetings by what they are called outside."""
        connection_id = [*self.connections, "nobody"][choice % (len(self.connections) + 1)]

        async def found(side: Side) -> list[object]:
            by_connection = await side.store.find_by_connection(connection_id)
            ref = request(side.users[user], f"call-{call}").ref
            latest = await side.store.find_latest(side.users[user].user_id, ref.platform, ref.native_id)
            attempt = await side.store.attempt_of(connection_id)
            vacated = latest is None or await side.store.is_vacated(latest.meeting_id)
            return [attempt, vacated, *(None if each is None else side.plain(each) for each in (by_connection, latest))]

        self.both(found)

    @rule(user=st.integers(0, 2), word=st.sampled_from("ab"), revoked=SOME)
    def keep_tokens(self, user: int, word: str, revoked: int) -> None:
        """Give a token, look whose it is, and take one away."""
        digest = hashlib.sha256(word.encode()).digest()

        async def held(side: Side) -> int | None:
            key = await side.store.find_key(digest)
            return side.owner(None if key is None else key.user)

        async def kept(side: Side) -> list[object]:
            user_id = [*(each.user_id for each in side.users), 0][user]
            try:
                token_id = (await side.store.add_token(user_id, digest)).token_id
            except NotFound as unknown:
                return [unknown.code, side.owner(await side.store.find_user(user_id))]
            side.tokens += [] if token_id in side.tokens else [token_id]
            owner = await held(side)
            gone = await side.store.revoke_token(side.tokens[revoked % len(side.tokens)])
            return [side.tokens.index(token_id), owner, gone, await held(side)]

        self.both(kept)

    @rule(user=st.integers(0, 1), bots=st.integers(0, 9), url=st.sampled_from([None, "https://a.example"]))
    def know_users(self, user: int, bots: int, url: str | None) -> None:
        """Ask for a user who is there already, and set or drop the webhook."""
        webhook = None if url is None else Webhook(url, "s3cret")

        async def known(side: Side) -> list[object]:
            mine = side.users[user]
            same = await side.store.create_user(mine.email, name="Eve", max_concurrent_bots=bots)
            await side.store.put_webhook(mine.user_id, webhook)
            return [same == mine, await side.store.find_user(mine.user_id) == mine]

        assert self.both(known) == [True, True]

    def _legal(self, meeting: int, choice: int, extras: Extras) -> tuple[int, Change | None]:
        number = meeting % len(self.sides[0].meetings)
        seen = self.run(self.sides[0].meeting(number))
        # What is on record to be waited for is not put there again.
        rows = [row for row in TABLE if row.from_state is seen.status]
        rows = [row for row in rows if row.event not in STANDING or seen.snapshot.waits_for is None]
        # The ends come last in each state's part of the table; most walks shall go on for a while.
        rows = [row for row in rows if row.to_state not in TERMINAL] * 3 + rows
        if not rows:
            return number, None
        row = rows[choice % len(rows)]
        change = decided(seen, row.event, min(row.by))
        deadline_s = None if row.to_state in TERMINAL else extras["deadline_s"]
        # No transition sends a command and expires others.
        command = None if extras["expire_commands"] or extras["expire_changes"] else extras["command"]
        return number, replace(change, **{**extras, "deadline_s": deadline_s, "command": command})

    def _change(self, number: int, change: Change, claim: int | None = None) -> None:
        async def write(side: Side) -> object:
            mine = replace(change, meeting_id=side.meetings[number])
            if claim is not None and side.claims:
                mine = replace(mine, claim=side.claims[claim % len(side.claims)].claim)
            try:
                outcome = await side.store.change(mine)
            except InvariantBroken:
                return "broken"
            return outcome if isinstance(outcome, Void) else "changed"

        if self.both(write) == "changed" and change.next_connection_id is not None:
            self.connections.append(change.next_connection_id)
        self.compare(number)


def _spoilt(change: Change, how: str) -> Change:
    """Make a change one that no store may write."""
    if how == "stale":
        return replace(change, expected_version=change.expected_version - 1)
    if how == "elsewhere":
        row = next(row for row in TABLE if row.from_state not in (None, change.transition.from_state))
        return replace(change, transition=row)
    return change
