"""Rules of the model test: users who are changed, added up and ended, their keys in use, and the log of it."""

import uuid
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.contract.store_worlds import decided, request
from tests.property.store_sides import SOME, SPANS, Side, TwoStores

from usher.domain.errors import Rejected
from usher.domain.lifecycle import Event, Source
from usher.ports import Actor, Page, UserChanges

ADMIN = Actor("admin", "192.0.2.1")
CHANGES = st.fixed_dictionaries(
    {}, optional={"name": st.none() | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=3)}
) | st.fixed_dictionaries({"data": st.dictionaries(st.sampled_from("ab"), st.integers(0, 9) | st.text(max_size=3))})


class UserRules(TwoStores):
    """Does to users what an admin does."""

    @rule(user=st.integers(0, 2), changes=CHANGES)
    def change_user(self, user: int, changes: UserChanges) -> None:
        """Change a user, and look for them by address."""

        async def changed(side: Side) -> list[object]:
            user_id = [*(each.user_id for each in side.users), 0][user]
            now = await side.store.update_user(user_id, changes, by=ADMIN)
            found = await side.store.find_user_by_email(f"user-{user}@example.org")
            return [(one.name, one.max_concurrent_bots, one.data) if one else None for one in (now, found)]

        self.both(changed)

    @rule(user=st.integers(0, 1), states=SOME, span=SPANS)
    def look_at_use(self, user: int, states: int, span: float) -> None:
        """Add up a user's meetings, list everybody's, note that their keys are in use, and make and use a ticket."""

        async def used(side: Side) -> list[object]:
            store, user_id = side.store, side.users[user].user_id
            usage = await store.usage(user_id, None, None)
            before = side.meetings[states % len(side.meetings)] if states % 2 else None
            fleet = [side.number(one.meeting_id) for one in await store.list_of_all(Page(limit=5, before_id=before))]
            await store.mark_used([token.token_id for token in await store.tokens_of(user_id)])
            marked = [(token.ending, token.last_used_at is None) for token in await store.tokens_of(user_id)]
            ticket = uuid.uuid4().bytes
            made = await store.add_ticket(user_id, ticket, good_s=span) is not None
            taken = [side.owner(await store.take_ticket(ticket)) for _ in range(2)]
            return [usage.meetings, usage.transcript_s, round(usage.bot_s / span), fleet, marked, made, taken]

        self.both(used)

    @rule(live=st.booleans(), force=st.booleans(), erased=st.booleans())
    def say_goodbye(self, live: bool, force: bool, erased: bool) -> None:
        """End a user who had one meeting, as far as may be, and then wholly."""

        async def gone(side: Side) -> list[Any]:
            store = side.store
            user = await store.create_user(f"{uuid.uuid4()}@example.org", name=None, max_concurrent_bots=1, by=ADMIN)
            meeting = (await store.create(replace(request(user), owed=()))).meeting
            stop = replace(decided(meeting, Event.STOP_REQUESTED, Source.USER), owed=())  # no workload to wait for
            if not live:
                await store.change(stop)
            told: list[Any] = [await store.close_user(user.user_id, force=force, by=ADMIN)]
            try:
                told.append((await store.create(request(user, "another"))).meeting.status)
            except Rejected as refused:
                told.append(refused.code)
            if live:
                await store.change(stop)
            if erased:
                told.append(await store.erase(meeting.meeting_id, by=ADMIN))
            told += [await store.remove_meetings([meeting.meeting_id]), await store.remove_user(user.user_id, by=ADMIN)]
            await store.erase(meeting.meeting_id)
            told += [await store.remove_meetings([meeting.meeting_id]), await store.remove_user(user.user_id, by=ADMIN)]
            await store.note(ADMIN, "bot_stopped", "meeting:0")
            lines = await store.audit(limit=3)
            return [*told, [(line.actor, line.action, line.subject.partition(":")[0], line.data) for line in lines]]

        self.both(gone)
