"""Simulated bot processes: the real bot, with a script in the place of its browser."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.explorer.chronicle import Chronicle
from tests.explorer.faults import Boundaries, now_s
from tests.explorer.machine import Book
from tests.explorer.network import Network
from tests.explorer.processes import Process, become
from tests.explorer.redis_server import BotRedis, RedisServer
from tests.explorer.scripts import Actor, Script
from tests.support.invariants import Life

from usher.adapters.memory.launcher import Machine, Workload
from usher.bot.bot import Bot
from usher.bot.stay import Ending, Progress
from usher.domain.reconcile import Exited, WorkloadName
from usher.protocol.bot import VARIABLE, BotConfiguration
from usher.protocol.commands import Command, CommandOutcome, Task

_KILLED = 137


@dataclass(slots=True)
class BotLog:
    """What a bot itself says of its life.

    Attributes:
        executed: Numbers of the commands that it carried out, in order.
        executed_s: When it did, in seconds of the loop.
        said: Final segments that it heard, by id: their revision.
        exit_code: None if it did not end by itself.
        lost: Segments that it gave up.
    """

    workload: WorkloadName
    executed: list[int] = field(default_factory=list)
    executed_s: dict[int, float] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)
    exit_code: int | None = None
    lost: int = 0


class Fleet:
    """Runs the bots of a machine.

    Attributes:
        logs: Of every bot, by connection.
        running: The processes that run, by workload.
        silences: Spans in which processes stood still, in seconds of the loop.
    """

    def __init__(
        self,
        *,
        machine: Machine,
        book: Book,
        redis: RedisServer,
        boundaries: Boundaries,
        network: Network,
        chronicle: Chronicle,
        script: Callable[[WorkloadName], Script],
    ) -> None:
        self._machine = machine
        self._book = book
        self._redis = redis
        self._boundaries = boundaries
        self._network = network
        self._chronicle = chronicle
        self._script = script
        self.logs: dict[str, BotLog] = {}
        self.running: dict[WorkloadName, Process] = {}
        self.silences: list[Life] = []
        self._silent_since: dict[WorkloadName, float] = {}
        machine.bot = self.live

    async def live(self, workload: Workload) -> int:
        """Be the process of one attempt."""
        name = workload.spec.name
        process = Process(
            f"bot {name.meeting_id}-{name.attempt}", lambda: self._crash(workload), lambda: self._note_silence(name)
        )
        become(process)
        entry = self._book.begin(name)
        self.running[name] = process
        try:
            return await self._run(workload, process)
        finally:
            self._end_silence(name)
            ended = workload.observe()
            self._book.end(entry, str(ended) if isinstance(ended, Exited) else "by itself")
            self.running.pop(name, None)
            process.disown(asyncio.current_task())
            process.kill()

    async def _run(self, workload: Workload, process: Process) -> int:
        """Run the bot; a cancellation is SIGTERM while the workload runs, and SIGKILL once it was declared dead."""
        configuration = BotConfiguration.model_validate_json(workload.spec.environment[VARIABLE])
        log = self.logs.setdefault(configuration.connection_id, BotLog(workload.spec.name))
        bot, actor = self._bot(workload, configuration, process, log)
        running = asyncio.ensure_future(_life(bot, self._script(workload.spec.name).linger_s))
        try:
            while True:
                try:
                    exit_code = await asyncio.shield(running)
                    await process.gate()
                except asyncio.CancelledError:
                    if running.cancelled() or isinstance(workload.observe(), Exited):
                        raise
                    self._chronicle.note(now_s(), process.name, "is asked to end", configuration.meeting_id)
                    await self._when_awake(process, workload)
                    bot.leave()
                else:
                    log.exit_code = exit_code
                    return exit_code
        finally:
            log.said.update(actor.said)
            log.lost += bot.publisher.lost

    async def _when_awake(self, process: Process, workload: Workload) -> None:
        """A process that stands still hears no signal; only a kill ends it."""
        while process.paused:
            try:
                await process.gate()
            except asyncio.CancelledError:
                if isinstance(workload.observe(), Exited):
                    raise

    def _bot(
        self, workload: Workload, configuration: BotConfiguration, process: Process, log: BotLog
    ) -> tuple[Bot, Actor]:
        script = self._script(workload.spec.name)
        self._chronicle.note(now_s(), process.name, f"plays {script}", configuration.meeting_id)
        password = configuration.redis_url.get_secret_value()
        redis = BotRedis(self._redis, self._boundaries, configuration.connection_id, password)

        async def reconfigure(_language: str | None, _task: Task) -> CommandOutcome:
            await asyncio.sleep(script.obeys_after_s)
            return CommandOutcome(outcome="refused" if script.refuses else "applied")

        def executed(command: Command, outcome: CommandOutcome) -> None:
            log.executed.append(command.seq)
            log.executed_s[command.seq] = now_s()
            what = f"executed command {command.seq} ({command.action}): {outcome.outcome}"
            self._chronicle.note(now_s(), process.name, what, configuration.meeting_id)

        def keep(words: bytes | None) -> None:
            process.do(lambda: self._leave_behind(workload, words))

        async def stay(progress: Progress) -> Ending:
            return await actor.stay(progress)

        bot = Bot(
            configuration,
            redis=redis.client(),
            stay=stay,
            reconfigure=reconfigure,
            keep=keep,
            executed=executed,
            transport=self._network.transport(configuration.meeting_id),
        )
        actor = Actor(
            script, configuration, bot.publisher.publish, kill=process.crash, freeze=lambda: self._freeze(process)
        )
        return bot, actor

    def _leave_behind(self, workload: Workload, words: bytes | None) -> None:
        workload.last_words = words or b""
        what = f"leaves {len(words)} bytes behind" if words else "leaves nothing behind"
        self._chronicle.note(now_s(), str(workload.spec.name), what, workload.spec.name.meeting_id)

    def _note_silence(self, name: WorkloadName) -> None:
        """Note that a process stands still from now on, or no longer."""
        process = self.running.get(name)
        if process is not None and process.paused:
            self._silent_since.setdefault(name, now_s())
        else:
            self._end_silence(name)

    def _end_silence(self, name: WorkloadName) -> None:
        since_s = self._silent_since.pop(name, None)
        if since_s is not None:
            self.silences.append(Life(name, since_s, now_s()))

    def _freeze(self, process: Process) -> None:
        self._chronicle.fault(now_s(), "bot frozen", process.name, "stands still")
        process.pause()

    def _crash(self, workload: Workload) -> None:
        """Let the machine notice that a process died by itself."""
        self._chronicle.fault(now_s(), "bot killed", str(workload.spec.name), "dies", workload.spec.name.meeting_id)
        workload.end(Exited(_KILLED, "killed by SIGKILL"))


async def _life(bot: Bot, linger_s: float) -> int:
    """Be the bot, and then the process that closes its browser and takes its time."""
    exit_code = await bot.run()
    await asyncio.sleep(linger_s)
    return exit_code
