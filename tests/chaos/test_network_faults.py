"""Connections between the parts are slow, cut, or dead without anybody being told."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from tests.support.chaos_load import send_all, stop_all, until_in
from tests.support.chaos_theatre import Stage, story
from tests.support.chaos_world import PACE, World
from tests.support.tcp_proxy import TcpProxy

_LONGER_THAN_ANY_TIMEOUT_S = 14.0
_STAY_S = 8.0
_LINKS = ("front", "postgres", "redis", "bots_redis")

Fault = Callable[[TcpProxy], Coroutine[None, None, None]]


async def _delayed(link: TcpProxy) -> None:
    link.delay_s = 0.15
    await asyncio.sleep(8.0)
    link.delay_s = 0.0


async def _cut(link: TcpProxy) -> None:
    for _ in range(30):
        await asyncio.sleep(0.2)
        await link.cut()


async def _closed(link: TcpProxy) -> None:
    link.closed = True
    await link.cut()
    await asyncio.sleep(PACE.lease_s / 2)
    link.closed = False


async def _half_open(link: TcpProxy) -> None:
    """Those who wait give up before the silence ends; what was on its way then arrives after all."""
    link.silent = True
    await asyncio.sleep(_LONGER_THAN_ANY_TIMEOUT_S)
    link.silent = False


async def _play(stage: Stage, link: str, fault: Fault) -> None:
    async with stage.world(proxied=True) as world:
        await world.manager()
        await world.manager()
        sending = asyncio.create_task(send_all(world, stay_s=_STAY_S))
        await world.wait(lambda: bool(world.lives.look()))
        async with world.outage():
            await fault(_link(world, link))
        await until_in(world, await sending)
        await stop_all(world)


def _link(world: World, name: str) -> TcpProxy:
    link: TcpProxy = getattr(world.links, name)
    return link


def _links(*short: str) -> pytest.MarkDecorator:
    links = [*short, *(pytest.param(link, marks=pytest.mark.long) for link in _LINKS if link not in short)]
    return pytest.mark.parametrize("link", links)


@_links()
@story
async def test_a_slow_connection(stage: Stage, link: str) -> None:
    await _play(stage, link, _delayed)


@_links("postgres", "redis")
@story
async def test_connections_that_are_cut_again_and_again(stage: Stage, link: str) -> None:
    await _play(stage, link, _cut)


@_links("redis")
@story
async def test_connections_that_are_refused(stage: Stage, link: str) -> None:
    await _play(stage, link, _closed)


@_links("front", "bots_redis")
@story
async def test_connections_that_are_half_open(stage: Stage, link: str) -> None:
    await _play(stage, link, _half_open)


@_links("postgres", "bots_redis")
@story
async def test_connections_that_are_forsaken_for_good(stage: Stage, link: str) -> None:
    """The old ones stay dead; whoever depends on one notices, makes a new one, and hears the command to leave."""
    async with stage.world(proxied=True) as world:
        await world.manager()
        await until_in(world, await send_all(world, stay_s=_STAY_S))
        assert _link(world, link).forsake() > 0
        await stop_all(world)
