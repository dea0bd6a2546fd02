"""The schema: how it comes to be, and what it refuses to those who go round the store."""

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.contract.store_worlds import (
    ADMITTED,
    PostgresWorld,
    decided,
    new_meeting,
    new_user,
    opened_postgres,
    walk,
    written,
)

from usher.adapters.postgres.migrate import migrate
from usher.adapters.postgres.store import PostgresStore
from usher.domain.errors import InvariantBroken, Unavailable
from usher.domain.lifecycle import LIVE, TABLE, Event, Source
from usher.domain.notices import NoticeType
from usher.ports import Lane, Message, NewEndpoint, Page, Webhook

MOVE = "UPDATE meetings SET version = version + 1, status = $2 WHERE id = $1"
LOG = """
INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
VALUES ($1, $2, $3, $4, $5, 'user', 1)
"""


@pytest.fixture
async def world(database_dsn: str) -> AsyncIterator[PostgresWorld]:
    async with opened_postgres(database_dsn) as made:
        yield made


async def test_several_managers_may_migrate_an_empty_database_together(empty_database_dsn: str) -> None:
    await asyncio.gather(*(migrate(empty_database_dsn) for _ in range(4)))
    async with opened_postgres(empty_database_dsn) as world:
        rows = await world.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {row["tablename"] for row in rows} >= {"users", "meetings", "meeting_sessions", "transcriptions"}
        assert len(await world.run("SELECT * FROM alembic_version")) == 1
        assert await new_meeting(world.store)


async def test_a_second_migration_changes_nothing(world: PostgresWorld) -> None:
    user = await new_user(world.store)
    meeting = await new_meeting(world.store, user)
    await migrate(world.dsn)
    assert await world.store.list_of_user(user.user_id, Page()) == [meeting]


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    nobody = "postgresql://usher@127.0.0.1:1/usher"
    with pytest.raises(Unavailable):
        await migrate(nobody)
    with pytest.raises(Unavailable):
        await PostgresStore.connect(nobody, timeout_s=10.0)


async def test_a_migration_that_takes_too_long_is_given_up(world: PostgresWorld) -> None:
    with pytest.raises(Unavailable):
        await migrate(world.dsn, timeout_s=0.0)


async def test_a_manager_of_before_several_webhooks_goes_on_with_its_one(world: PostgresWorld) -> None:
    """Its statements, as they were: it sets, finds and tells its webhook, and leaves the added ones alone."""
    user = await new_user(world.store)
    endpoint = await world.store.add_endpoint(user.user_id, NewEndpoint(Webhook("https://example.com/added", "a")))
    assert endpoint is not None
    put = """
        INSERT INTO webhooks (user_id, url, secret) SELECT u.id, $2, $3 FROM users u WHERE u.id = $1
        ON CONFLICT (user_id) DO UPDATE SET url = excluded.url, secret = excluded.secret, updated_at = now()"""
    for secret in ("b", "c"):
        await world.run(put, user.user_id, "https://example.com/put", secret)
    found = await world.run("SELECT url, secret FROM webhooks WHERE user_id = $1", user.user_id)
    assert [tuple(row) for row in found] == [("https://example.com/put", "c")]
    assert await world.store.find_webhook(user.user_id) == Webhook("https://example.com/put", "c")
    meeting = await new_meeting(world.store, await new_user(world.store))
    owe = """
        INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at, version)
        SELECT m.id, m.attempt, 'notify', 'notify', now(), m.version
        FROM meetings m JOIN webhooks w ON w.user_id = $2 WHERE m.id = $1"""
    await world.run(owe, meeting.meeting_id, user.user_id)
    (effect,) = await world.store.claim(Lane.NOTIFY, limit=9, claim_s=60.0)
    assert (effect.version, effect.webhook_id, effect.notice) == (1, None, None)
    await world.run("DELETE FROM webhooks WHERE user_id = $1", user.user_id)
    assert await world.store.endpoints(user.user_id) == [endpoint]


async def test_the_webhooks_of_a_user_go_with_them(world: PostgresWorld) -> None:
    user = await new_user(world.store)
    await world.store.put_webhook(user.user_id, Webhook("https://example.com/put", "a"))
    endpoint = await world.store.add_endpoint(user.user_id, NewEndpoint(Webhook("https://example.com/added", "a")))
    assert endpoint is not None
    message = Message(endpoint.webhook_id, 1, 1, NoticeType.STATUS_CHANGE)
    assert await world.store.record_try(message, status_code=204, error=None) == 1
    await world.run("DELETE FROM users WHERE id = $1", user.user_id)
    assert not await world.run("SELECT * FROM webhooks")
    assert not await world.run("SELECT * FROM webhook_deliveries")


async def test_the_migrated_rows_are_the_lifecycle_table(world: PostgresWorld) -> None:
    """If this fails the table was changed: write a migration that inserts (and later deletes) the rows."""
    rows = await world.run("SELECT from_state, event, to_state FROM lifecycle_transitions")
    assert {tuple(row) for row in rows} == {(row.from_state or "none", row.event, row.to_state) for row in TABLE}


async def test_the_index_of_live_meetings_covers_the_live_states(world: PostgresWorld) -> None:
    """If this fails the set was changed: write a migration that replaces the index."""
    ((predicate,),) = await world.run(
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'meetings_live_key'::regclass"
    )
    assert sorted(re.findall(r"'(\w+)'", predicate)) == sorted(LIVE)


async def test_a_status_that_no_event_leads_to_is_refused(world: PostgresWorld) -> None:
    meeting = await new_meeting(world.store)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="meetings_status_logged"):
        await world.run(MOVE, meeting.meeting_id, "starting")
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="meetings_status_logged"):
        await world.run("UPDATE meetings SET status = 'completed' WHERE id = $1", meeting.meeting_id)
    assert await world.store.find(meeting.meeting_id) == meeting


async def test_a_meeting_without_an_event_is_refused(world: PostgresWorld) -> None:
    user = await new_user(world.store)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="meetings_status_logged"):
        await world.run(
            """
            INSERT INTO meetings (user_id, platform, platform_specific_id, meeting_url, bot_name, status,
                connection_id, task, desired_task)
            VALUES ($1, 'room', 'x', 'x', 'x', 'active', 'x', 'transcribe', 'transcribe')
            """,
            user.user_id,
        )


@pytest.mark.parametrize(
    ("version", "event", "from_state", "to_state", "refused_by"),
    [
        (2, "admitted", "requested", "active", "meeting_events_transition"),
        (2, "launch_begun", "requested", "active", "meeting_events_transition"),
        (2, "joining_begun", "starting", "joining", "meeting_events_chain"),
        (3, "launch_begun", "requested", "starting", "meeting_events_chain"),
        (2, "requested", "none", "requested", "meeting_events_first"),
        (0, "requested", "none", "requested", "meeting_events_first"),
        (1, "scheduled", "none", "scheduled", "meeting_events_pkey"),
    ],
)
async def test_an_event_that_does_not_follow_is_refused(
    world: PostgresWorld, version: int, event: str, from_state: str, to_state: str, refused_by: str
) -> None:
    meeting = await new_meeting(world.store)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=refused_by):
        await world.run(LOG, meeting.meeting_id, version, event, from_state, to_state)
    assert len(await world.store.events(meeting.meeting_id)) == 1


async def test_history_cannot_be_forked(world: PostgresWorld) -> None:
    meeting = await walk(world.store, await new_meeting(world.store), (Event.LAUNCH_BEGUN, Source.DISPATCHER))
    with pytest.raises(asyncpg.UniqueViolationError, match="meeting_events_pkey"):
        await world.run(LOG, meeting.meeting_id, 2, "stop_requested", "requested", "completed")


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE meeting_events SET event = 'launch_failed', to_state = 'error' WHERE meeting_id = $1 AND version = 3",
        "DELETE FROM meeting_events WHERE meeting_id = $1 AND version = 3",
        "DELETE FROM meeting_events WHERE meeting_id = $1 AND version = 2",
        "UPDATE meeting_events SET event = 'crashed' WHERE meeting_id = $1 AND version = 2",
    ],
)
async def test_history_cannot_be_rewritten(world: PostgresWorld, edit: str) -> None:
    meeting = await walk(world.store, await new_meeting(world.store), *ADMITTED)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.run(edit, meeting.meeting_id)


async def test_a_transition_that_was_used_stays_in_the_table(world: PostgresWorld) -> None:
    await new_meeting(world.store)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="meeting_events_transition"):
        await world.run("DELETE FROM lifecycle_transitions WHERE event = 'requested'")


async def test_one_user_cannot_visit_one_call_twice(world: PostgresWorld) -> None:
    first = await new_meeting(world.store)
    user = await world.store.find_user(first.user_id)
    assert user is not None
    second = await new_meeting(world.store, user, "another")
    with pytest.raises(asyncpg.UniqueViolationError, match="meetings_live_key"):
        await world.run("UPDATE meetings SET platform_specific_id = 'weekly-sync' WHERE id = $1", second.meeting_id)


async def test_seats_are_never_negative(world: PostgresWorld) -> None:
    user = await new_user(world.store)
    with pytest.raises(asyncpg.CheckViolationError):
        await world.run("UPDATE users SET active_bots = active_bots - 1 WHERE id = $1", user.user_id)


async def test_what_the_database_refuses_does_not_quote_the_row(world: PostgresWorld) -> None:
    meeting = await new_meeting(world.store)
    await world.run("ALTER TABLE meetings ADD CONSTRAINT never CHECK (status <> 'starting')")
    with pytest.raises(InvariantBroken) as caught:
        await written(world.store, decided(meeting, Event.LAUNCH_BEGUN, Source.DISPATCHER))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__
