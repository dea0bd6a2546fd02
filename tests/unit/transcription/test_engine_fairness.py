"""Sharing the engine, for ever and for all: fairness, one final for each utterance, whatever fails or ends."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engine_lanes import PATIENCE_S, GatedEngine, Stream, until, with_streams

from usher.transcription.engine import EngineError, Job, Quality
from usher.transcription.engines.scripted import ScriptedEngine


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


async def test_streams_with_much_to_say_take_turns() -> None:
    engine = GatedEngine()
    engine.tickets.release(30)

    async def body(streams: list[Stream]) -> None:
        for stream in streams:
            for utterance in range(10):
                stream.finish(utterance, 10)
        for stream in streams:
            await stream.lane.drained(patience_s=PATIENCE_S)
        names = engine.names
        assert all({name[0] for name in names[first : first + 3]} == set("abc") for first in range(0, 30, 3))

    await with_streams(engine, body)


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
