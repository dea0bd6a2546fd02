"""Sharing the engine: order, fairness, staleness, failures. Gates, not clocks, decide what happens when."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usher.protocol.whisper import Task
from usher.transcription.engine import EngineError, Job, Quality, Result
from usher.transcription.engines.scripted import ScriptedEngine
from usher.transcription.lane import Lane, Request
from usher.transcription.meter import Meter
from usher.transcription.scheduler import open_scheduler

PATIENCE_S = 30.0


class GatedEngine(ScriptedEngine):
    """Does one job per ticket; says the job's prompt."""

    def __init__(self) -> None:
        super().__init__(say=lambda job: job.prompt or "")
        self.tickets = threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        self.batches.append([job.prompt or "" for job in jobs])
        results = super().transcribe(jobs)
        if not self.tickets.acquire(timeout=PATIENCE_S):
            raise EngineError("no ticket")
        return results

    @property
    def names(self) -> list[str]:
        return [job.prompt or "" for job in self.heard]


class Stream:
    """A lane and what it was told."""

    def __init__(self, lane: Lane, name: str = "") -> None:
        self.lane = lane
        self.name = name
        self.told: list[tuple[int, bool, str | None]] = []

    def request(self, utterance: int, stop: int, quality: Quality) -> Request:
        name = f"{self.name}{utterance}{'f' if quality is Quality.FINAL else 'd'}{stop}"
        return Request(
            utterance=utterance,
            stop=stop,
            size=stop,
            quality=quality,
            build=lambda: Job(np.zeros(stop, np.float32), "en", Task.TRANSCRIBE, quality, prompt=name),
            deliver=lambda result, final: self.told.append((utterance, final, result.text if result else None)),
        )

    def draft(self, utterance: int, stop: int, quality: Quality = Quality.DRAFT) -> None:
        self.lane.draft(self.request(utterance, stop, quality))

    def finish(self, utterance: int, stop: int) -> None:
        self.lane.finish(self.request(utterance, stop, Quality.FINAL))

    @property
    def finals(self) -> list[int]:
        return [utterance for utterance, final, _ in self.told if final]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- the conditions live in threads
            await asyncio.sleep(0.002)


async def with_streams(
    engine: ScriptedEngine,
    body: Callable[[list[Stream]], Awaitable[None]],
    *,
    workers: int = 1,
    batch_size: int = 1,
    draft_wait_s: float = 0.0,
) -> None:
    async with open_scheduler(engine, workers=workers, batch_size=batch_size, draft_wait_s=draft_wait_s) as scheduler:
        with scheduler.lane() as one, scheduler.lane() as two, scheduler.lane() as three:
            await body([Stream(one, "a"), Stream(two, "b"), Stream(three, "c")])


async def test_finals_go_before_drafts() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, third = streams
        first.finish(0, 10)
        await until(lambda: len(engine.heard) == 1)
        second.draft(0, 10)
        third.finish(0, 10)
        engine.tickets.release(3)
        await until(lambda: len(second.told) == 1)
        assert engine.names == ["a0f10", "c0f10", "b0d10"]

    await with_streams(engine, body)


async def test_a_waiting_draft_is_replaced_by_a_newer_one_and_dropped_by_the_final() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        first.finish(0, 10)
        await until(lambda: len(engine.heard) == 1)
        second.draft(0, 10)
        second.draft(0, 20)
        first.draft(1, 10)
        first.finish(1, 20)
        engine.tickets.release(9)
        await until(lambda: len(second.told) == 1 and first.finals == [0, 1])
        assert engine.names == ["a0f10", "a1f20", "b0d20"]
        assert first.told == [(0, True, "a0f10"), (1, True, "a1f20")]

    await with_streams(engine, body)


async def test_a_draft_that_is_overtaken_by_its_final_is_not_delivered() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        first.draft(0, 10)
        await until(lambda: len(engine.heard) == 1)
        first.finish(0, 20)
        engine.tickets.release(2)
        await until(lambda: len(first.finals) == 1)
        assert first.told == [(0, True, "a0f20")]

    await with_streams(engine, body)


@pytest.mark.parametrize("when", ["waiting", "running", "done"])
async def test_a_pause_text_becomes_the_final_without_a_second_decoding(when: str) -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        if when == "waiting":
            second.finish(0, 10)
            await until(lambda: len(engine.heard) == 1)
        first.draft(0, 10, Quality.FINAL)
        if when != "waiting":
            await until(lambda: len(engine.heard) == 1)
        if when == "done":
            engine.tickets.release()
            await until(lambda: len(first.told) == 1)
        first.finish(0, 10)
        engine.tickets.release(2)
        await until(lambda: len(first.finals) == 1)
        assert engine.names.count("a0f10") == 1
        assert first.told[-1] == (0, True, "a0f10")

    await with_streams(engine, body)


async def test_a_greedy_draft_never_becomes_the_final() -> None:
    engine = GatedEngine()
    engine.tickets.release(9)

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        first.draft(0, 10)
        await until(lambda: len(first.told) == 1)
        first.finish(0, 10)
        await until(lambda: len(first.finals) == 1)
        assert engine.names == ["a0d10", "a0f10"]

    await with_streams(engine, body)


@pytest.mark.parametrize("greedy", [0, 1, 2])
async def test_a_stream_with_many_finals_does_not_starve_the_others(greedy: int) -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        flood = streams.pop(greedy)
        for utterance in range(10):
            flood.finish(utterance, 10)
        await until(lambda: len(engine.heard) == 1)
        for stream in streams:
            stream.finish(0, 10)
        engine.tickets.release(20)
        await until(lambda: len(flood.finals) == 10)
        assert set(engine.names[1:3]) == {f"{stream.name}0f10" for stream in streams}
        assert flood.finals == list(range(10))

    await with_streams(engine, body)


async def test_a_stream_has_one_draft_at_a_time_and_none_while_its_finals_wait() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        first.draft(0, 10)
        second.finish(0, 10)
        await until(lambda: len(engine.heard) == 2)
        first.draft(0, 20)
        second.draft(1, 10)
        await asyncio.sleep(0.02)
        assert sorted(engine.names) == ["a0d10", "b0f10"]
        engine.tickets.release(9)
        await until(lambda: len(first.told) == 2 and len(second.told) == 2)

    await with_streams(engine, body, workers=3)


async def test_a_draft_that_takes_longer_than_its_final_is_not_delivered_after_it() -> None:
    slow = threading.Event()

    def say(job: Job) -> str:
        if job.quality is Quality.DRAFT:
            slow.wait(PATIENCE_S)
        return job.quality.name

    engine = ScriptedEngine(say=say)

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        first.draft(0, 10)
        await until(lambda: len(engine.heard) == 1)
        first.finish(0, 20)
        await first.lane.drained(patience_s=PATIENCE_S)
        first.draft(1, 10)
        slow.set()
        await until(lambda: (1, False, "DRAFT") in first.told)
        assert first.told == [(0, True, "FINAL"), (1, False, "DRAFT")]

    await with_streams(engine, body, workers=2)


async def test_a_batch_holds_work_of_one_quality() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, third = streams
        first.finish(0, 10)
        await until(lambda: len(engine.heard) == 1)
        first.draft(1, 10)
        second.draft(0, 10, Quality.FINAL)
        third.finish(0, 10)
        engine.tickets.release(9)
        await until(lambda: len(first.told) == 2)
        assert engine.batches == [["a0f10"], ["c0f10", "b0f10"], ["a1d10"]]

    await with_streams(engine, body, batch_size=3)


async def test_idle_workers_share_finals() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        await asyncio.sleep(0)
        for stream in streams[:2]:
            stream.finish(0, 10)
        await until(lambda: len(engine.heard) == 2)
        assert sorted(engine.batches) == [["a0f10"], ["b0f10"]]
        engine.tickets.release(9)
        await asyncio.gather(*(stream.lane.drained(patience_s=PATIENCE_S) for stream in streams))

    await with_streams(engine, body, workers=2, batch_size=4)


async def test_drafts_wait_for_company_but_not_for_ever() -> None:
    engine = GatedEngine()
    engine.tickets.release(9)

    async def body(streams: list[Stream]) -> None:
        first, second, third = streams
        first.draft(0, 10)
        await asyncio.sleep(0)
        second.draft(0, 10)
        await until(lambda: bool(first.told and second.told))
        assert sorted(map(sorted, engine.batches)) == [["a0d10", "b0d10"]]
        third.draft(0, 10)
        await until(lambda: bool(third.told))

    await with_streams(engine, body, workers=2, batch_size=4, draft_wait_s=0.2)


async def test_drafts_leave_a_worker_to_what_is_urgent() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, third = streams
        first.draft(0, 10)
        await until(lambda: len(engine.heard) == 1)
        second.draft(0, 10)
        await asyncio.sleep(0.02)
        assert engine.names == ["a0d10"]
        third.finish(0, 10)
        await until(lambda: len(engine.heard) == 2)
        assert engine.names == ["a0d10", "c0f10"]
        engine.tickets.release(9)
        await until(lambda: bool(second.told))

    await with_streams(engine, body, workers=2)


async def test_finals_do_not_wait_for_company() -> None:
    engine = GatedEngine()
    engine.tickets.release(9)

    async def body(streams: list[Stream]) -> None:
        streams[0].finish(0, 10)
        streams[1].draft(0, 10, Quality.FINAL)
        await until(lambda: bool(streams[0].told and streams[1].told))

    await with_streams(engine, body, batch_size=4, draft_wait_s=10 * PATIENCE_S)


async def test_texts_of_a_stream_come_in_order_with_many_workers() -> None:
    engine = ScriptedEngine(delay_s=0.002)

    async def body(streams: list[Stream]) -> None:
        for utterance in range(20):
            for stream in streams:
                stream.finish(utterance, 10)
        await asyncio.gather(*(stream.lane.drained(patience_s=PATIENCE_S) for stream in streams))
        assert [stream.finals for stream in streams] == [list(range(20))] * 3

    await with_streams(engine, body, workers=4, batch_size=2)


async def test_a_failed_final_is_tried_again_and_then_reported_once() -> None:
    def say(job: Job) -> str:
        if job.prompt == "a0f13":
            raise EngineError("unlucky")
        return "fine"

    engine = ScriptedEngine(say=say)

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        first.finish(0, 13)
        first.finish(1, 10)
        second.finish(0, 10)
        await asyncio.gather(first.lane.drained(patience_s=PATIENCE_S), second.lane.drained(patience_s=PATIENCE_S))
        assert first.told == [(0, True, None), (1, True, "fine")]
        assert second.told == [(0, True, "fine")]
        assert [job.prompt for job in engine.heard].count("a0f13") >= 2

    await with_streams(engine, body, batch_size=3)


async def test_a_failed_draft_is_dropped() -> None:
    def say(job: Job) -> str:
        if job.quality is Quality.DRAFT:
            raise EngineError("unlucky")
        return "fine"

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        first.draft(0, 10)
        await asyncio.sleep(0)
        first.finish(0, 20)
        await first.lane.drained(patience_s=PATIENCE_S)
        assert first.told == [(0, True, "fine")]

    await with_streams(ScriptedEngine(say=say), body)


async def test_room_waits_for_the_backlog_to_shrink() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        for utterance in range(3):
            first.finish(utterance, 10)
        waiting = asyncio.ensure_future(first.lane.room(30))
        await until(lambda: len(engine.heard) == 1)
        assert not waiting.done()
        engine.tickets.release()
        await asyncio.wait_for(waiting, PATIENCE_S)
        assert first.lane.backlog == 20
        engine.tickets.release(2)
        await first.lane.drained(patience_s=PATIENCE_S)

    await with_streams(engine, body)


async def test_a_closed_lane_hears_nothing_more_and_frees_its_waiters() -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        first.finish(0, 10)
        first.finish(1, 10)
        await until(lambda: len(engine.heard) == 1)
        waiting = asyncio.ensure_future(first.lane.drained(patience_s=PATIENCE_S))
        await asyncio.sleep(0)
        first.lane.close()
        await asyncio.wait_for(waiting, PATIENCE_S)
        second.finish(0, 10)
        engine.tickets.release(3)
        await second.lane.drained(patience_s=PATIENCE_S)
        assert first.told == []
        assert engine.names == ["a0f10", "b0f10"]

    await with_streams(engine, body)


async def test_lag_is_the_age_of_the_oldest_final() -> None:
    now = 100.0
    engine = GatedEngine()
    async with open_scheduler(engine, workers=1, meter=Meter(workers=1, clock=lambda: now)) as scheduler:
        with scheduler.lane() as lane:
            stream = Stream(lane)
            assert (scheduler.lag_s, scheduler.waiting_finals) == (0.0, 0)
            stream.finish(0, 10)
            now = 107.5
            stream.finish(1, 10)
            assert (scheduler.lag_s, scheduler.waiting_finals) == (7.5, 2)
            engine.tickets.release(2)
            await lane.drained(patience_s=PATIENCE_S)
            assert (scheduler.lag_s, scheduler.waiting_finals) == (0.0, 0)


async def test_a_bug_in_the_engine_that_one_stream_brings_out_ends_no_other() -> None:
    def say(job: Job) -> str:
        if (job.prompt or "").startswith("a"):
            raise ZeroDivisionError
        return "fine"

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        for stream in (first, second):
            stream.finish(0, 10)
            stream.finish(1, 10)
        await asyncio.gather(first.lane.drained(patience_s=PATIENCE_S), second.lane.drained(patience_s=PATIENCE_S))
        assert first.told == [(0, True, None), (1, True, None)]
        assert second.told == [(0, True, "fine"), (1, True, "fine")]

    await with_streams(ScriptedEngine(say=say), body, batch_size=4)


@pytest.mark.parametrize("batch_size", [1, 4])
async def test_a_flood_in_one_stream_delays_another_by_one_engine_call(batch_size: int) -> None:
    engine = GatedEngine()

    async def body(streams: list[Stream]) -> None:
        flooding, other, _ = streams
        for utterance in range(30):
            flooding.finish(utterance, 2 * 16_000)
        for utterance in range(10):
            await until(lambda: len(engine.batches) == 2 * utterance + 1)  # noqa: B023 -- called at once
            assert all(name.startswith("a") for name in engine.batches[-1])
            other.finish(utterance, 10)
            engine.tickets.release()
            await until(lambda: len(engine.batches) == 2 * utterance + 2)  # noqa: B023 -- called at once
            assert f"b{utterance}f10" in engine.batches[-1]
            engine.tickets.release()
            await until(lambda: len(other.finals) == utterance + 1)  # noqa: B023 -- called at once
        engine.tickets.release(30)
        await flooding.lane.drained(patience_s=PATIENCE_S)
        assert flooding.finals == list(range(30))

    await with_streams(engine, body, batch_size=batch_size)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["draft", "pause", "finish", "breathe"])), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, workers=st.integers(1, 3), batch_size=st.integers(1, 3))
def test_every_finished_utterance_gets_exactly_one_final_in_order(
    steps: list[tuple[int, str]], workers: int, batch_size: int
) -> None:
    """Whatever is asked when: one final each, in order, and no draft after its final."""

    async def body(streams: list[Stream]) -> None:
        utterances, stops = [0, 0, 0], [1, 1, 1]
        for index, step in steps:
            stream, stops[index] = streams[index], stops[index] + 1
            if step == "draft":
                stream.draft(utterances[index], stops[index])
            elif step == "pause":
                stream.draft(utterances[index], stops[index], Quality.FINAL)
                stops[index] -= 1
            elif step == "finish":
                stream.finish(utterances[index], stops[index])
                utterances[index] += 1
            else:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(PATIENCE_S):
            for stream in streams:
                await stream.lane.drained(patience_s=PATIENCE_S)
        for stream, count in zip(streams, utterances, strict=True):
            assert stream.finals == list(range(count))
            newest = -1
            for utterance, final, _ in stream.told:
                assert utterance > newest
                newest = utterance if final else newest

    asyncio.run(with_streams(ScriptedEngine(), body, workers=workers, batch_size=batch_size))


@settings(max_examples=60, deadline=None)
@given(
    steps=STEPS,
    fails=st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), max_size=8),
    closes=st.integers(0, 59),
    workers=st.integers(1, 3),
    batch_size=st.integers(1, 3),
)
def test_failures_and_the_end_of_one_stream_leave_the_finals_of_others(
    steps: list[tuple[int, str]], fails: set[tuple[str, int]], closes: int, workers: int, batch_size: int
) -> None:
    """The first stream ends after some steps. The others get one final each, without a text where the engine fails."""

    def say(job: Job) -> str:
        name = job.prompt or ""
        if (name[0], int(re.split("[df]", name[1:])[0])) in fails:
            raise EngineError("unlucky")
        return name

    async def body(streams: list[Stream]) -> None:
        utterances = {stream.name: 0 for stream in streams}
        await take_steps([(streams[index], step) for index, step in steps[:closes]], utterances)
        streams[0].lane.close()
        told = len(streams[0].told)
        await take_steps([(streams[index], step) for index, step in steps[closes:] if index], utterances)
        async with asyncio.timeout(PATIENCE_S):
            for stream in streams[1:]:
                await stream.lane.drained(patience_s=PATIENCE_S)
        assert len(streams[0].told) == told
        for stream in streams[1:]:
            assert stream.finals == list(range(utterances[stream.name]))
            lost = [utterance for utterance, final, text in stream.told if final and text is None]
            assert lost == [utterance for utterance in stream.finals if (stream.name, utterance) in fails]

    asyncio.run(with_streams(ScriptedEngine(say=say), body, workers=workers, batch_size=batch_size))


async def take_steps(steps: list[tuple[Stream, str]], utterances: dict[str, int]) -> None:
    for number, (stream, step) in enumerate(steps, start=10):
        if step == "breathe":
            await asyncio.sleep(0.001)
        elif step == "finish":
            stream.finish(utterances[stream.name], number)
            utterances[stream.name] += 1
        else:
            stream.draft(utterances[stream.name], number, Quality.FINAL if step == "pause" else Quality.DRAFT)
