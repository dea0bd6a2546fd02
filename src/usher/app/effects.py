"""The handlers of effects. Each is idempotent: an effect runs at least once, and may run again after a crash."""

from collections.abc import Callable, Mapping

import structlog

from usher.app.commands import CommandEffect
from usher.app.dispatcher import Again, Done, Handler, Result, Settled
from usher.app.last_words import Legacy
from usher.app.transitions import Outcome, Report, Transitions
from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.lifecycle import (
    ENDING,
    HAS_WORKLOAD,
    LAUNCHING,
    TERMINAL,
    Effect,
    Event,
    Reason,
    Source,
    after_clean_up,
)
from usher.domain.policy import Policy
from usher.domain.reconcile import Exited, Gone, Observation, WorkloadName, evidence
from usher.ports import (
    BotAccess,
    ClaimedEffect,
    Launcher,
    Meeting,
    Meetings,
    WorkloadSpec,
)
from usher.protocol.credentials import BotCredentials, BotIdentity

log = structlog.get_logger(__name__)

_EVIDENCE_BYTES = 4000
_TERMINATE_TRIES = 6
_VACATED_S, _VACATED_TRIES = 0.2, 5


class WorkloadEffects:
    """Launch, terminate and clean up: the lane in which the launcher is spoken to."""

    def __init__(
        self,
        *,
        store: Meetings,
        transitions: Transitions,
        launcher: Launcher,
        access: BotAccess,
        credentials: BotCredentials,
        policy: Policy,
        legacy: Legacy,
        specify: Callable[[Meeting], WorkloadSpec],
    ) -> None:
        self._store = store
        self._legacy = legacy
        self._transitions = transitions
        self._launcher = launcher
        self._access = access
        self._credentials = credentials
        self._policy = policy
        self._specify = specify

    async def launch(self, effect: ClaimedEffect) -> Result:
        """Begin the launch in the store, then start the workload; a second run adopts what the first began.

        A visit is over when its bot says so, and its process ends a moment later: the next visit of the same user to
        the same call waits for that.
        """
        if not await self._store.is_vacated(effect.meeting_id):
            soon_s = _VACATED_S if effect.tries < _VACATED_TRIES else None
            return Again("an earlier visit to the same call is still being ended", soon_s)
        begun = await self._transitions.apply(
            effect.meeting_id, Report(Event.LAUNCH_BEGUN, Source.DISPATCHER, effect.attempt)
        )
        meeting = begun.meeting
        if meeting.attempt == effect.attempt and meeting.status in ENDING:
            return await self._give_up_launch(effect)
        if meeting.attempt != effect.attempt or meeting.status not in LAUNCHING:
            return Done()
        return await self._start(effect, meeting)

    async def _start(self, effect: ClaimedEffect, meeting: Meeting) -> Result:
        """Start the workload, with the bot's own account."""
        bot = BotIdentity(meeting.meeting_id, meeting.connection_id)
        try:
            await self._access.grant(bot.connection_id, self._credentials.redis_password(bot))
            await self._launcher.start(self._specify(meeting))
        except LaunchRejected as error:
            return await self._launch_failed(effect, error.reason, error.detail)
        except NoRoom as error:
            return await self._wait_for_room(effect, error.detail)
        except Unavailable as error:
            return await self._launch_failed(effect, Reason.LAUNCH_FAILED, error.detail)
        return Done()

    async def terminate(self, effect: ClaimedEffect) -> Result:
        """End the attempt's workload for certain; a meeting that was `stopping` is over then.

        Owed both when the grace of a stop is over and when a meeting has ended; the latter also forgets the workload
        and takes the bot's credentials away.
        """
        meeting = await self._store.find(effect.meeting_id)
        if meeting is None or meeting.attempt != effect.attempt:
            return Done()
        name = WorkloadName(effect.meeting_id, effect.attempt)
        left = await self._launcher.stop(name, grace_s=self._policy.kill_grace_s)
        if not _is_over(left):
            return await self._not_terminated(effect, meeting, left)
        await self._legacy.take_up(meeting)
        if meeting.status in TERMINAL:
            await self._forget(meeting, name)
            return Done()
        return _settled(await self._apply(effect, Event.TERMINATED, detail=_evidence(left)))

    async def clean_up(self, effect: ClaimedEffect) -> Result:
        """Make sure that nothing of the attempt runs, then retry, or end."""
        meeting = await self._store.find(effect.meeting_id)
        if meeting is None or meeting.attempt != effect.attempt or meeting.status not in HAS_WORKLOAD:
            return Done()
        name = WorkloadName(effect.meeting_id, effect.attempt)
        left = await self._launcher.stop(name, grace_s=self._policy.kill_grace_s)
        if not _is_over(left):
            return Again("it is not certain that nothing of the attempt is running")
        await self._legacy.take_up(meeting)
        await self._keep_evidence(meeting, name)
        await self._forget(meeting, name)

        def choose(now: Meeting) -> Event:
            return after_clean_up(now.snapshot, now.reason, max_attempts=self._policy.max_attempts)

        report = Report(choose, Source.DISPATCHER, effect.attempt, claim=effect.claim)
        return _settled(await self._transitions.apply(effect.meeting_id, report))

    async def _give_up_launch(self, effect: ClaimedEffect) -> Result:
        """End at once what was stopped after its launch was begun, by a manager that has died, and before it ran.

        There is nobody who could leave. What does run is given its grace.
        """
        left = await self._launcher.observe(WorkloadName(effect.meeting_id, effect.attempt))
        return await self.terminate(effect) if isinstance(left, Gone) else Done()

    async def _wait_for_room(self, effect: ClaimedEffect, detail: str) -> Result:
        """Put on record that the launch waits, and try it again until the meeting's deadline ends it."""
        report = Report(Event.ROOM_AWAITED, Source.DISPATCHER, effect.attempt, detail=detail)
        await self._transitions.apply(effect.meeting_id, report)
        return Again(detail, self._policy.room_retry.delay_s(effect.tries + 1), endless=True)

    async def _launch_failed(self, effect: ClaimedEffect, reason: Reason, detail: str) -> Result:
        return _settled(await self._apply(effect, Event.LAUNCH_FAILED, reason=reason, detail=detail))

    async def _not_terminated(self, effect: ClaimedEffect, meeting: Meeting, left: Observation) -> Result:
        if meeting.status in ENDING and effect.tries + 1 >= _TERMINATE_TRIES:
            return _settled(await self._apply(effect, Event.STOP_FAILED, detail=str(left)))
        return Again("it is not certain that the workload has ended")

    async def _apply(
        self, effect: ClaimedEffect, event: Event, *, reason: Reason | None = None, detail: str = ""
    ) -> Outcome:
        report = Report(event, Source.DISPATCHER, effect.attempt, reason=reason, detail=detail, claim=effect.claim)
        return await self._transitions.apply(effect.meeting_id, report)

    async def _keep_evidence(self, meeting: Meeting, name: WorkloadName) -> None:
        printed = await self._launcher.logs(name, last_bytes=_EVIDENCE_BYTES)
        if printed:
            text = printed.decode(errors="replace").replace("\0", "")
            await self._store.put_data(meeting.meeting_id, {f"bot_log_{meeting.attempt}": text})

    async def _forget(self, meeting: Meeting, name: WorkloadName) -> None:
        await self._access.revoke(meeting.connection_id)
        await self._launcher.remove(name)


def handlers(
    workload: WorkloadEffects, command: CommandEffect, finish: Handler, notify: Handler
) -> Mapping[Effect, Handler]:
    """Return the handler of every effect."""
    return {
        Effect.LAUNCH: workload.launch,
        Effect.TERMINATE: workload.terminate,
        Effect.TERMINATE_AFTER_GRACE: workload.terminate,
        Effect.CLEAN_UP: workload.clean_up,
        Effect.SEND_COMMAND: command.send_command,
        Effect.FINISH_MEETING: finish,
        Effect.NOTIFY: notify,
    }


def _is_over(observation: Observation) -> bool:
    return isinstance(observation, Exited | Gone)


def _evidence(observation: Observation) -> str:
    return evidence(observation) if isinstance(observation, Exited) else ""


def _settled(outcome: Outcome) -> Result:
    """An applied report took the effect with it; otherwise the meeting has moved on and the effect is void."""
    return Settled() if outcome.applied else Done()
