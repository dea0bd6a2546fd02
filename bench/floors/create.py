"""Floor of B1 and B2: a route and one SQL statement that writes what a new meeting is made of.

The same tables, keys and driver as Usher's, no authentication, no live status, no explanation of a refusal.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Literal

import asyncpg
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

from bench.floors.pool import open_pool

_CREATE = """
WITH seat AS (
    UPDATE users SET active_bots = active_bots + 1 WHERE id = $1 AND active_bots < max_concurrent_bots RETURNING id
), m AS (
    INSERT INTO meetings (
        user_id, platform, platform_specific_id, meeting_url, bot_name, status, connection_id,
        language, task, desired_language, desired_task, deadline_at)
    SELECT id, $2, $3, $4, $5, 'requested', $6, $7, $8, $7, $8, now() + interval '5 minutes' FROM seat
    RETURNING id, status, created_at
), event AS (
    INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
    SELECT id, 1, 'requested', 'none', status, 'user', 1 FROM m
), owed AS (
    INSERT INTO outbox (meeting_id, attempt, lane, effect, due_at) SELECT id, 1, 'workload', 'launch', now() FROM m
)
SELECT id, status, created_at FROM m
"""


class Wish(BaseModel):
    """A request for a bot."""

    platform: Literal["room"]
    native_meeting_id: str
    bot_name: str
    language: str | None = None
    task: str = "transcribe"


class Made(BaseModel):
    """The meeting."""

    id: int
    user_id: int
    platform: str
    native_meeting_id: str
    status: str
    created_at: datetime


@asynccontextmanager
async def open_floor(dsn: str, pool_size: int) -> AsyncIterator[FastAPI]:
    """Connect to the database and return the application."""
    async with open_pool(dsn, pool_size) as pool:
        yield _app(pool)


def _app(pool: "asyncpg.Pool[asyncpg.Record]") -> FastAPI:
    app = FastAPI()

    @app.post("/bots", status_code=201)
    async def create(wish: Wish, x_user_id: Annotated[int, Header()]) -> Made:
        url = f"http://127.0.0.1/room/{wish.native_meeting_id}"
        row = await pool.fetchrow(
            _CREATE,
            x_user_id,
            wish.platform,
            wish.native_meeting_id,
            url,
            wish.bot_name,
            str(uuid.uuid4()),
            wish.language,
            wish.task,
        )
        if row is None:
            raise HTTPException(429)
        return Made(
            id=row["id"],
            user_id=x_user_id,
            platform=wish.platform,
            native_meeting_id=wish.native_meeting_id,
            status=row["status"],
            created_at=row["created_at"],
        )

    return app
