"""Floor of B4: a route that moves a meeting by one compare-and-set and logs it by one insert, in one statement.

The same tables, keys and driver as Usher's; no token, no table of what may follow what, no deadline, no live status.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel

from bench.floors.pool import open_pool

_MOVE = """
WITH m AS (
    UPDATE meetings SET status = $3, version = version + 1, updated_at = now()
    WHERE connection_id = $1 AND status = $2
    RETURNING id, version, attempt
)
INSERT INTO meeting_events (meeting_id, version, event, from_state, to_state, reported_by, attempt)
SELECT id, version, $4, $2, $3, 'bot', attempt FROM m
RETURNING version
"""


class Started(BaseModel):
    """The bot is in the meeting."""

    seq: int


class Status(Started):
    """The bot is on its way."""

    status: Literal["joining", "awaiting_admission"]


class Answer(BaseModel):
    """What became of it."""

    outcome: Literal["applied", "ignored"]


@asynccontextmanager
async def open_floor(dsn: str, pool_size: int) -> AsyncIterator[FastAPI]:
    """Connect to the database and return the application."""
    async with open_pool(dsn, pool_size) as pool:
        yield _app(pool)


def _app(pool: "asyncpg.Pool[asyncpg.Record]") -> FastAPI:
    app = FastAPI()

    @app.post("/internal/bots/{connection_id}/status")
    async def status(connection_id: str, _body: Status) -> Answer:
        return _answer(await pool.fetchval(_MOVE, connection_id, "starting", "joining", "joining_begun"))

    @app.post("/internal/bots/{connection_id}/started")
    async def started(connection_id: str, _body: Started) -> Answer:
        return _answer(await pool.fetchval(_MOVE, connection_id, "joining", "active", "admitted"))

    return app


def _answer(version: int | None) -> Answer:
    return Answer(outcome="ignored" if version is None else "applied")
