"""Users, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from usher.adapters.memory.store_tables import Part, as_json
from usher.ports import Actor, Json, Usage, User, UserChanges


class MemoryUsers(Part):
    """See `usher.ports.Users`; the rest of it is in `store_closing`."""

    async def create_user(
        self,
        email: str,
        *,
        name: str | None,
        max_concurrent_bots: int,
        data: Json | None = None,
        by: Actor | None = None,
    ) -> User:
        """Create a user, or return the one with that e-mail address."""
        tables = self._tables
        known = await self.find_user_by_email(email)
        if known is not None:
            return known
        user = User(next(tables.ids), email, name, max_concurrent_bots, tables.now(), as_json(data or {}))
        tables.users[user.user_id] = user
        tables.active_bots[user.user_id] = 0
        tables.write_deed(by, "user_created", f"user:{user.user_id}")
        return user

    async def find_user(self, user_id: int) -> User | None:
        """Return the user with that id."""
        return self._tables.users.get(user_id)

    async def find_user_by_email(self, email: str) -> User | None:
        """Return the user with that address."""
        return next((user for user in self._tables.users.values() if user.email == email), None)

    async def list_users(self, *, limit: int, after_id: int) -> Sequence[User]:
        """List users by id."""
        return [user for user_id, user in sorted(self._tables.users.items()) if user_id > after_id][:limit]

    async def update_user(self, user_id: int, changes: UserChanges, *, by: Actor | None = None) -> User | None:
        """Change a user."""
        user = self._tables.users.get(user_id)
        if user is None:
            return None
        self._tables.users[user_id] = replace(user, **as_json(changes))
        self._tables.write_deed(by, "user_updated", f"user:{user_id}", {"fields": sorted(changes)})
        return self._tables.users[user_id]

    async def usage(self, user_id: int, since: datetime | None, until: datetime | None) -> Usage:
        """Add up a user's meetings."""
        now = self._tables.now()
        theirs = [
            meeting
            for meeting in self._tables.meetings.values()
            if meeting.user_id == user_id
            and (since is None or meeting.created_at >= since)
            and (until is None or meeting.created_at < until)
        ]
        stays = [(m.end_time or now) - m.start_time for m in theirs if m.start_time is not None]
        speech = [float(m.data["totals"]["speech_s"]) for m in theirs if "speech_s" in m.data.get("totals", {})]
        return Usage(len(theirs), sum(stay.total_seconds() for stay in stays), sum(speech))
