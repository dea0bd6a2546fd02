"""A user who does not give up: every request is repeated until it is answered, and until there is room for a bot."""

import asyncio
import itertools
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from tests.support.chaos_script import Script
from tests.support.chaos_viewer import Viewer
from tests.support.invariants.evidence import KeyUse, Sighting

from usher.domain.lifecycle import State

_PATIENCE_S = 90.0
_ANSWER_S = 8.0
_PAUSE_S = 0.3
_CONFLICT = 409
_TOO_MANY = 429


class Caller:
    """Speaks to the API as a user's program does, and notes what it was told.

    Args:
        url: Base URL of the API.
        api_key: The user's key.
        user_id: Whose.

    Attributes:
        viewer: Watches every meeting that is sent, once somebody runs it.
    """

    def __init__(self, url: str, api_key: str, user_id: int) -> None:
        self.key_uses: list[KeyUse] = []
        self.sightings: list[Sighting] = []
        self._user_id = user_id
        self._names = (f"call-{number}" for number in itertools.count(1))
        self._http = httpx.AsyncClient(
            base_url=url, headers={"X-API-Key": api_key}, timeout=_ANSWER_S, trust_env=False, follow_redirects=False
        )
        self.viewer = Viewer(url, api_key, self.events)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, script: Script, *, name: str | None = None, join_in_s: float | None = None) -> int:
        """Send a bot, once, however often it takes to say so; returns the meeting's id.

        Args:
            script: What the bot does.
            name: Native id of the meeting; a new one if left out.
            join_in_s: When it shall be at the door, from now; at once if left out.
        """
        body = {"platform": "room", "native_meeting_id": name or next(self._names), "bot_name": script.to_name()}
        if join_in_s is not None:
            body["join_at"] = (datetime.now(UTC) + timedelta(seconds=join_in_s)).isoformat()
        key = uuid.uuid4().hex
        answer = await self._until_answered("POST", "/bots", body, {"Idempotency-Key": key})
        meeting_id = answer.json().get("id") if answer.is_success else None
        self.key_uses.append(KeyUse(self._user_id, key, json.dumps(body), answer.status_code, meeting_id))
        assert meeting_id is not None, f"POST /bots was answered {answer.status_code}: {answer.text}"
        self.viewer.follow(int(meeting_id), body["native_meeting_id"])
        return int(meeting_id)

    async def stop(self, name: str) -> None:
        """Stop the bot in that meeting."""
        answer = await self._until_answered("DELETE", f"/bots/room/{name}")
        assert answer.is_success, answer.text
        self._note(answer.json()["meeting"])

    async def configure(self, name: str, language: str) -> bool:
        """Change the language; False if the bot is not in the meeting (any more)."""
        answer = await self._until_answered("PUT", f"/bots/room/{name}/config", {"language": language})
        assert answer.is_success or answer.status_code == _CONFLICT, answer.text
        return answer.is_success

    async def meeting(self, meeting_id: int) -> dict[str, Any]:
        """Look at a meeting."""
        answer = await self._until_answered("GET", f"/meetings/{meeting_id}")
        assert answer.is_success, answer.text
        self._note(answer.json())
        found: dict[str, Any] = answer.json()
        return found

    async def events(self, meeting_id: int) -> Sequence[dict[str, Any]]:
        """Return the history of a meeting."""
        answer = await self._until_answered("GET", f"/meetings/{meeting_id}/events")
        assert answer.is_success, answer.text
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    async def _until_answered(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    answer = await self._http.request(method, path, json=body, headers=headers)
                except httpx.TransportError:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                if not answer.is_server_error and answer.status_code != _TOO_MANY:
                    return answer
                await asyncio.sleep(_PAUSE_S)

    def _note(self, meeting: dict[str, Any]) -> None:
        sighting = Sighting("caller", meeting["id"], meeting["version"], State(meeting["status"]))
        self.sightings.append(sighting)
