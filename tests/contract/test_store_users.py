"""What every store has to do with users: change them, add up their use, end them; and the log of deeds."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.store_worlds import ADMITTED, World, new_meeting, new_user, request, walk
from tests.contract.test_store_erasure import LEFT, ended, found, workload_gone

from usher.domain.errors import LimitReached
from usher.domain.lifecycle import LIVE, Event, Source
from usher.domain.meeting import Platform
from usher.ports import Actor, Closing, NewToken, Page, Store, Webhook

ADMIN = Actor("admin", "192.0.2.1")


async def test_a_user_is_found_by_address_and_changed(store: Store) -> None:
    user = await store.create_user("zoe@example.org", name="Zoe", max_concurrent_bots=1, data={"team": "a\x00b"})
    assert user.data == {"team": "ab"}
    assert await store.find_user_by_email("zoe@example.org") == user
    assert await store.find_user_by_email("Zoe@example.org") is None
    named = await store.update_user(user.user_id, {"name": None})
    assert named == replace(user, name=None)
    changed = await store.update_user(user.user_id, {"max_concurrent_bots": 7, "data": {"x": [1]}})
    assert changed == replace(user, name=None, max_concurrent_bots=7, data={"x": [1]})
    assert await store.find_user(user.user_id) == changed
    assert await store.update_user(999_999, {"name": "Nobody"}) is None


async def test_use_is_added_up_by_when_meetings_were_asked_for(world: World) -> None:
    store = world.store
    user, other = await new_user(store), await new_user(store)
    assert (await store.usage(user.user_id, None, None)).meetings == 0
    first = await walk(store, await new_meeting(store, user, "one"), *ADMITTED)
    await world.pass_time(600.0)
    await walk(store, first, LEFT)
    await store.put_data(first.meeting_id, {"totals": {"speech_s": 12.5}})
    await new_meeting(store, user, "two")
    await walk(store, await new_meeting(store, other, "one"), *ADMITTED)
    used = await store.usage(user.user_id, None, None)
    assert (used.meetings, used.transcript_s) == (2, 12.5)
    assert used.bot_s == pytest.approx(600.0, abs=60.0)
    second = timedelta(seconds=1)
    assert (await store.usage(user.user_id, first.created_at, first.created_at)).meetings == 0
    assert (await store.usage(user.user_id, first.created_at + timedelta(days=1), None)).meetings == 0
    assert (await store.usage(user.user_id, first.created_at, first.created_at + timedelta(days=1))).meetings == 2
    assert (await store.usage(user.user_id, None, first.created_at - second)).meetings == 0


async def test_everybodys_meetings_are_paged_and_filtered(store: Store) -> None:
    ann, bob = await new_user(store), await new_user(store)
    mine = [await new_meeting(store, user, room) for user in (ann, bob) for room in ("a", "b")]
    over = await walk(store, mine[0], (Event.STOP_REQUESTED, Source.USER))
    ids = [meeting.meeting_id for meeting in mine][::-1]

    async def listed(page: Page) -> list[int]:
        return [meeting.meeting_id for meeting in await store.list_of_all(page) if meeting.meeting_id in ids]

    assert await listed(Page(limit=1000)) == ids
    assert await listed(Page(limit=2, before_id=ids[1])) == ids[2:]
    assert over.meeting_id not in await listed(Page(limit=1000, states=LIVE))
    assert await listed(Page(limit=1000, platform=Platform.ZOOM)) == []


async def test_a_closed_user_sends_no_bots_and_has_no_keys(store: Store) -> None:
    user = await new_user(store)
    await store.add_token(user.user_id, b"k" * 32)
    await store.put_webhook(user.user_id, Webhook("https://example.org", "s"))
    meeting = await new_meeting(store, user)
    assert await store.close_user(user.user_id, force=False) is Closing.BOTS_LIVE
    assert await store.find_key(b"k" * 32) is not None
    assert await store.close_user(user.user_id, force=True) is Closing.CLOSED
    assert await store.find_key(b"k" * 32) is None
    assert await store.find_webhook(user.user_id) is None
    assert (await found(store, meeting)).status in LIVE
    with pytest.raises(LimitReached):
        await store.create(request(user, "another"))
    assert await store.close_user(999_999, force=True) is Closing.UNKNOWN


async def test_a_user_is_removed_after_their_meetings_and_these_after_their_transcripts(store: Store) -> None:
    meeting = await ended(store)
    live = await new_meeting(store)
    user = await store.find_user(meeting.user_id)
    assert user is not None
    assert await store.remove_meetings([meeting.meeting_id, live.meeting_id]) == 0
    assert not await store.remove_user(user.user_id)
    await store.erase(meeting.meeting_id)
    assert await store.remove_meetings([meeting.meeting_id, live.meeting_id, 999_999]) == 1
    assert await store.find(meeting.meeting_id) is None
    assert not await store.events(meeting.meeting_id)
    assert await store.find_by_connection(meeting.connection_id) is None
    assert await store.find(live.meeting_id) is not None
    assert await store.remove_user(user.user_id)
    assert not await store.remove_user(user.user_id)
    assert await store.find_user(user.user_id) is None
    await workload_gone(store)


async def test_each_deed_is_one_line_and_what_changes_nothing_is_none(store: Store) -> None:
    before = [entry.entry_id for entry in await store.audit(limit=1)]
    user = await store.create_user("yan@example.org", name=None, max_concurrent_bots=1, by=ADMIN)
    await store.create_user("yan@example.org", name=None, max_concurrent_bots=1, by=ADMIN)
    await store.update_user(user.user_id, {"name": "Yan", "data": {"secret": "x"}}, by=ADMIN)
    await store.update_user(999_999, {"name": "Yan"}, by=ADMIN)
    token = await store.add_token(user.user_id, b"y" * 32, NewToken("n"), by=ADMIN)
    for _ in range(2):
        await store.revoke_token(token.token_id, by=ADMIN)
    meeting = await ended(store)
    for _ in range(2):
        await store.erase(meeting.meeting_id, by=Actor(f"user:{meeting.user_id}"))
    await store.note(ADMIN, "bot_stopped", f"meeting:{meeting.meeting_id}")
    await store.close_user(user.user_id, force=False, by=ADMIN)
    await store.remove_user(user.user_id, by=ADMIN)
    await store.remove_user(user.user_id, by=ADMIN)
    lines = [entry for entry in await store.audit(limit=100) if not before or entry.entry_id > before[0]]
    whose, which, what = f"user:{user.user_id}", f"token:{token.token_id}", f"meeting:{meeting.meeting_id}"
    assert [(line.actor, line.action, line.subject) for line in reversed(lines)] == [
        ("admin", "user_created", whose),
        ("admin", "user_updated", whose),
        ("admin", "token_created", which),
        ("admin", "token_revoked", which),
        (f"user:{meeting.user_id}", "transcript_deleted", what),
        ("admin", "bot_stopped", what),
        ("admin", "user_closed", whose),
        ("admin", "user_deleted", whose),
    ]
    assert {line.origin for line in lines if line.actor == "admin"} == {"192.0.2.1"}
    assert [dict(line.data) for line in reversed(lines)][1:4] == [
        {"fields": ["data", "name"]},
        {"user_id": user.user_id, "scopes": None},
        {"user_id": user.user_id},
    ]
    assert list(await store.audit(limit=2, before_id=lines[0].entry_id)) == lines[1:3]
