"""Blocks take turns, and their figures are added up as they should be."""

import pytest
from bench.blocks import Block, client_share, cpu_s_per_operation, interleave, require_only, statuses


def _block(*latencies_s: float, elapsed_s: float = 1.0, status: int = 200) -> Block:
    return Block(latencies_s, elapsed_s, {status: len(latencies_s)}, server_cpu_s=0.5, client_cpu_s=0.25)


async def _play(rounds: int, warmup: int, seed: int) -> tuple[list[str], int, int]:
    order: list[str] = []

    async def usher(number: int) -> Block:
        order.append(f"usher-{number}")
        return _block(1.0)

    async def floor(number: int) -> Block:
        order.append(f"floor-{number}")
        return _block(2.0, 2.0)

    played = await interleave(usher, floor, rounds=rounds, warmup=warmup, seed=seed)
    assert all(block.latencies_s == (1.0,) for block in played.usher)
    assert all(block.latencies_s == (2.0, 2.0) for block in played.floor)
    return order, len(played.usher), len(played.floor)


async def test_every_round_runs_each_side_once_and_warm_up_does_not_count() -> None:
    order, of_usher, of_floor = await _play(rounds=5, warmup=2, seed=3)
    assert (of_usher, of_floor) == (5, 5)
    for number in range(7):
        assert sorted(order[2 * number : 2 * number + 2]) == [f"floor-{number}", f"usher-{number}"]


async def test_who_comes_first_changes_and_is_the_same_for_the_same_seed() -> None:
    order, *_ = await _play(rounds=20, warmup=0, seed=1)
    firsts = {name.partition("-")[0] for name in order[::2]}
    assert firsts == {"usher", "floor"}
    assert order == (await _play(rounds=20, warmup=0, seed=1))[0]


def test_figures_of_a_block() -> None:
    block = _block(0.001, 0.002, 0.010, elapsed_s=0.5)
    assert block.p50_ms == pytest.approx(2.0)
    assert block.rate == pytest.approx(6.0)


def test_figures_of_many_blocks_weigh_operations_not_blocks() -> None:
    blocks = (_block(1.0), _block(1.0, 1.0, 1.0, elapsed_s=3.0))
    assert cpu_s_per_operation(blocks) == pytest.approx(0.25)
    assert client_share(blocks) == pytest.approx(0.125)
    assert statuses((*blocks, _block(1.0, status=409))) == {200: 4, 409: 1}


def test_a_block_with_refusals_is_no_measurement() -> None:
    assert require_only(200, _block(1.0)).statuses == {200: 1}
    with pytest.raises(RuntimeError, match="409"):
        require_only(201, Block((1.0, 1.0), 1.0, {201: 1, 409: 1}, 0.0, 0.0))
