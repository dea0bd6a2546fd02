"""The two stores, in lock-step: whatever is done to both, they answer alike and hold alike.

The in-memory store is the model. All spans of time are odd multiples of 500 s and time passes in steps of 1,000 s, so
that the seconds that the test itself takes never decide what is due.
"""

import asyncio
import re
import uuid
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test
from tests.contract.store_worlds import MemoryWorld, opened_postgres, request
from tests.property.store_rules_meetings import MeetingRules
from tests.property.store_rules_recordings import RecordingRules
from tests.property.store_rules_seen import SeenRules
from tests.property.store_rules_transcripts import TranscriptRules
from tests.property.store_rules_users import UserRules
from tests.property.store_rules_webhooks import WebhookRules
from tests.property.store_rules_work import WorkRules
from tests.property.store_sides import Side

from usher.ports import Store


class StoresInLockStep(UserRules, MeetingRules, WorkRules, SeenRules, RecordingRules, TranscriptRules, WebhookRules):
    """Does everything twice."""

    @initialize(bots=st.lists(st.integers(2, 4), min_size=2, max_size=2))
    def begin(self, bots: list[int]) -> None:
        self.run(self._begin(bots))
        connection_id = str(uuid.uuid4())
        self.create_on_both(lambda side: replace(request(side.users[0], "first"), connection_id=connection_id))

    async def _begin(self, bots: list[int]) -> None:
        await self.database.run("TRUNCATE users, attendance CASCADE")
        self.sides = (Side(MemoryWorld()), Side(self.database))
        for side in self.sides:
            for number, limit in enumerate(bots):
                email = f"user-{number}@example.org"
                side.users.append(await side.store.create_user(email, name=None, max_concurrent_bots=limit))

    def teardown(self) -> None:
        if hasattr(self, "sides"):
            self.compare_all()


@pytest.mark.timeout(900)  # a failing example is made smaller before it is shown
def test_both_stores_answer_alike(database_dsn: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        StoresInLockStep.runner = runner
        StoresInLockStep.database = runner.run(stack.enter_async_context(opened_postgres(database_dsn, pool_size=2)))
        try:
            run_state_machine_as_test(
                StoresInLockStep,
                settings=settings(
                    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
                ),
            )
        finally:
            runner.run(stack.aclose())


def test_the_model_asks_for_everything_that_a_store_can_do() -> None:
    folder = Path(__file__).parent
    asked = "".join(path.read_text() for path in folder.glob("store_*.py"))
    methods = {name for name in dir(Store) if not name.startswith("_")}
    assert methods == {name for name in methods if re.search(rf"store\.{name}\(", asked)}
