"""Rules of the model test: transcripts that are deleted, and links to them."""

import hashlib

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.property.store_sides import SOME, SPANS, Side, TwoStores

from usher.domain.lifecycle import LIVE, TERMINAL, State
from usher.domain.meeting import Platform
from usher.ports import Page

STATES = st.sampled_from([None, LIVE, TERMINAL])
PAGES = st.tuples(st.integers(1, 4), st.none() | SOME, STATES, st.none() | st.integers(0, 3), st.booleans())


class TranscriptRules(TwoStores):
    """Deletes transcripts, shares them, and lists meetings."""

    @rule(meeting=SOME)
    def erase(self, meeting: int) -> None:
        number = meeting % len(self.sides[0].meetings)

        async def erased(side: Side) -> list[object]:
            meeting_id = side.meetings[number]
            outcome = await side.store.erase(meeting_id)
            seen = [await side.store.exhibits(meeting_id), await side.store.chat(meeting_id)]
            kept = [len(each) for each in seen] if outcome == "erased" else []
            return [outcome, await side.store.is_erased(meeting_id), kept]

        self.both(erased)
        self.compare(number)

    @rule(meeting=SOME, word=st.sampled_from("abc"), span=SPANS, ended=SOME)
    def share(self, meeting: int, word: str, span: float, ended: int) -> None:
        """Make a link, unless its token was given before, look where it leads to, and take one back."""
        number = meeting % len(self.sides[0].meetings)
        digest = hashlib.sha256(f"{word}{number}".encode()).digest()

        async def shared(side: Side) -> list[object]:
            meeting_id = side.meetings[number]
            if await side.store.find_shared(digest) is None and digest not in side.links:
                made = await side.store.add_share(meeting_id, digest, good_s=span)
                side.links |= {} if made is None else {digest: made.share_id}
            found, ids = await side.store.find_shared(digest), [*side.links.values(), 0]
            listed = [
                (ids.index(one.share_id), side.number(one.meeting_id), side.distance(one.expires_at))
                for one in await side.store.shares(meeting_id)
            ]
            gone = ended % 3 == 0 and await side.store.end_share(meeting_id, ids[ended % len(ids)])
            return [None if found is None else side.plain(found), listed, gone]

        self.both(shared)

    @rule(user=st.integers(0, 1), page=PAGES)
    def list_some(self, user: int, page: tuple[int, int | None, frozenset[State] | None, int | None, bool]) -> None:
        """List a page of meetings, filtered."""
        limit, before, states, call, on_room = page

        async def listed(side: Side) -> list[int]:
            known = [*side.meetings, 10**9]
            wanted = Page(
                limit=limit,
                before_id=None if before is None else known[before % len(known)],
                states=states,
                platform=Platform.ROOM if on_room else None,
                native_id=None if call is None or not on_room else f"call-{call}",
            )
            found = await side.store.list_of_user(side.users[user].user_id, wanted)
            return [side.number(meeting.meeting_id) for meeting in found]

        self.both(listed)
