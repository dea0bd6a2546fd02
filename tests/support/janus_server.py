"""A real Janus with its own demo pages, as Debian packages them, on ports of the test's own."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from tests.support.bot_manager_server import serving

ROOM = 1234
_PAGES = Path("/usr/share/janus/demos")
_START_S = 20.0

_CONFIGURATION = {
    "janus.jcfg": """
general: {{ configs_folder = "{folder}", plugins_folder = "{plugins}/plugins", transports_folder = "{plugins}/transports",
            loggers_folder = "{plugins}/loggers", events_folder = "{plugins}/events", debug_level = 3 }}
nat: {{ ice_enforce_list = "lo,127.0.0.1", ice_ignore_list = "vmnet" }}
media: {{ ipv6 = false }}
plugins: {{ disable = "libjanus_audiobridge.so,libjanus_echotest.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so,libjanus_nosip.so,libjanus_duktape.so,libjanus_lua.so" }}
transports: {{ disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so" }}
""",  # noqa: E501 - a list that the format wants in one string
    "janus.transport.websockets.jcfg": """
general: {{ ws = true, ws_port = {port}, ws_ip = "127.0.0.1", wss = false }}
admin: {{ admin_ws = false }}
""",
    "janus.plugin.videoroom.jcfg": """
room-{room}: {{ description = "Test", publishers = 6, bitrate = 128000 }}
""",
}


@contextlib.asynccontextmanager
async def janus_room(folder: Path) -> AsyncIterator[str]:
    """Run Janus with one room and yield the address of its page."""
    program, plugins = _installed()
    port = _free_port()
    for name, text in _CONFIGURATION.items():
        (folder / name).write_text(text.format(folder=folder, plugins=plugins, port=port, room=ROOM))
    process = await asyncio.create_subprocess_exec(
        program, f"--configs-folder={folder}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listens(port)
        async with serving(_pages(port)) as base:
            yield f"{base}/mvideoroomtest.html?room={ROOM}"
    finally:
        process.terminate()
        await process.wait()


def _installed() -> tuple[str, Path]:
    """Return Janus and the folder of its plugins."""
    program = shutil.which("janus")
    plugins = next(Path("/usr/lib").glob("*/janus"), None)
    if program is None or plugins is None or not _PAGES.is_dir():
        pytest.skip("Janus is not installed (Debian's packages janus and janus-demos)")
    return program, plugins


def _pages(port: int) -> FastAPI:
    """The packaged pages as they are; only the file that is made to be adapted says where the server is."""
    app = FastAPI()
    settings = f'var server = "ws://127.0.0.1:{port}"; var iceServers = []; var token = ""; var apisecret = "";'

    @app.get("/settings.js")
    async def adapted() -> Response:
        return PlainTextResponse(settings, media_type="text/javascript")

    app.mount("/", StaticFiles(directory=_PAGES, follow_symlink=True))
    return app


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def _listens(port: int) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return
