"""Sharing the engine: order, fairness, staleness, failures. Gates, not clocks, decide what happens when."""

import asyncio
import threading

import pytest
from tests.support.engine_lanes import PATIENCE_S, GatedEngine, Stream, until, with_streams

from usher.transcription.engine import EngineError, EngineUnavailable, Job, Quality
from usher.transcription.engines.scripted import ScriptedEngine
from usher.transcription.meter import Meter
from usher.transcription.scheduler import open_scheduler


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

    # No time passes: the second draft has not waited for long.
    await with_streams(engine, body, workers=2, clock=lambda: 0.0)


async def test_a_draft_that_has_waited_for_long_may_have_the_last_worker() -> None:
    engine = GatedEngine()
    now_s = 0.0

    async def body(streams: list[Stream]) -> None:
        nonlocal now_s
        first, second, _ = streams
        first.draft(0, 10)
        await until(lambda: len(engine.heard) == 1)
        second.draft(0, 10)
        await asyncio.sleep(0.02)
        assert engine.names == ["a0d10"]
        now_s = 1.0
        await until(lambda: len(engine.heard) == 2)
        assert engine.names == ["a0d10", "b0d10"]
        engine.tickets.release(9)

    await with_streams(engine, body, workers=2, clock=lambda: now_s)


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


async def test_an_engine_that_is_away_for_a_while_costs_no_words() -> None:
    outages = iter(range(7))

    def say(job: Job) -> str:
        if next(outages, None) is not None:
            raise EngineUnavailable("away")
        return f"{job.prompt}"

    async def body(streams: list[Stream]) -> None:
        first, second, _ = streams
        first.draft(0, 5)
        first.finish(0, 10)
        first.finish(1, 10)
        second.finish(0, 10)
        await asyncio.gather(first.lane.drained(patience_s=PATIENCE_S), second.lane.drained(patience_s=PATIENCE_S))
        assert first.told == [(0, True, "a0f10"), (1, True, "a1f10")]
        assert second.told == [(0, True, "b0f10")]

    await with_streams(ScriptedEngine(say=say), body, workers=2, batch_size=2)


class Away:
    """What an engine says that is not to be had; counts how often it is asked."""

    calls = 0

    def __call__(self, _: Job) -> str:
        self.calls += 1
        raise EngineUnavailable("away")


async def test_who_waits_for_the_end_of_a_stream_waits_no_longer_for_an_engine_that_is_away() -> None:
    away = Away()

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        first.finish(0, 10)
        waiting = asyncio.ensure_future(first.lane.drained(patience_s=0.3))
        done, _ = await asyncio.wait([waiting], timeout=PATIENCE_S)
        assert done
        assert isinstance(waiting.exception(), TimeoutError)
        assert away.calls > 2  # tries that end without a text are no progress
        assert first.told == []

    await with_streams(ScriptedEngine(say=away), body)


async def test_an_engine_that_does_not_come_back_is_given_up_after_ten_minutes() -> None:
    away = Away()

    async def body(streams: list[Stream]) -> None:
        first = streams[0]
        first.finish(0, 10)
        await first.lane.drained(patience_s=PATIENCE_S)
        assert first.told == [(0, True, None)]
        assert away.calls > 7

    # Each call takes a minute by this clock.
    await with_streams(ScriptedEngine(say=away), body, clock=lambda: 60.0 * away.calls)


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


async def test_who_waits_for_its_own_backlog_does_not_wait_for_a_worker() -> None:
    now = 100.0
    engine = GatedEngine()
    meter = Meter(workers=1, clock=lambda: now)
    async with open_scheduler(engine, workers=1, meter=meter) as scheduler:
        with scheduler.lane() as lane, scheduler.lane() as other:
            stream = Stream(lane, "a")
            for utterance in range(3):
                stream.finish(utterance, 16_000)
            await until(lambda: len(engine.heard) == 1)
            now = 110.0
            assert (scheduler.lag_s, scheduler.wait_s, scheduler.backlog_s) == (10.0, 0.0, 3.0)
            Stream(other, "b").finish(0, 16_000)
            now = 111.0
            assert (scheduler.wait_s, scheduler.worst_lags_s(5)) == (1.0, [11.0, 1.0])
            engine.tickets.release()
            await until(lambda: len(engine.heard) == 2)
            assert engine.names[-1] == "b0f16000"
            now = 111.5
            assert scheduler.wait_s == 0.5
            assert lane.take_lag_s() == 11.5
            engine.tickets.release(9)
            await lane.drained(patience_s=PATIENCE_S)
            assert scheduler.lag_s == scheduler.wait_s == scheduler.backlog_s == 0.0
            assert lane.take_lag_s() == 11.5
            assert lane.take_lag_s() == 0.0


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
