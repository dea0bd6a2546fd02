"""The replicas' web server: one loopback port with TLS for every host of every platform."""

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, RedirectResponse
from tests.replicas.certificate import Certificate
from tests.replicas.meeting import Meeting
from tests.replicas.news import Sound

_STATIC = Path(__file__).parent / "static"
_SERVED = frozenset({".html", ".js", ".json", ".css", ".svg"})
_STOP_S = 5.0

PEOPLE_HOST = "people.replica.test"
"""Where the page of the call's people is."""
# Pages' scripts are loaded anew by every browser that a test starts.
_FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address is answered with: one of the four.

    Attributes:
        file: Name of an HTML file of the platform's folder.
        redirect: Where to go instead, an absolute or relative address.
        text: Plain text.
        status: HTTP status; with `file` the file's, without it an empty answer.
    """

    file: str = ""
    redirect: str = ""
    text: str = ""
    status: int = 200


@dataclass(frozen=True)
class Site:
    """One platform's web site, as its folder's `site.py` tells.

    Attributes:
        hosts: Names that the platform serves; `*.zoom.us` stands for every name below.
        open: Answers a host, a path and a query.
        url: Address of the meeting, as people paste it.
        gate: The control that leads from the phase `gate` to `prejoin`; None: the first phase is `prejoin`.
        sound: How the platform sends sound.
        dialogs_before: Names of the dialogs that `page.js` can draw before the meeting.
        dialogs_inside: Names of those inside of it.
        folder: Where its files are; filled in by `load_site`.
    """

    hosts: tuple[str, ...]
    open: Callable[[str, str, Mapping[str, str]], Answer]
    url: str
    sound: Sound
    gate: str | None = None
    dialogs_before: tuple[str, ...] = ()
    dialogs_inside: tuple[str, ...] = ()
    folder: Path = field(default=_STATIC)

    def serves(self, host: str) -> bool:
        """Say whether a host is the platform's."""
        return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in self.hosts)


def load_site(platform: str) -> Site:
    """Return the site of `tests/replicas/<platform>/site.py`."""
    module = importlib.import_module(f"tests.replicas.{platform}.site")
    site: Site = module.SITE
    return Site(**{**vars(site), "folder": Path(str(module.__file__)).parent})


@dataclass
class Served:
    """A web server that runs.

    Attributes:
        port: Its loopback port.
        certificate: What it proves itself with.
        meeting: The call that its pages show now; a test puts its own here.
        mix: Takes the sound of all people, where the page of people sends it.
    """

    port: int
    certificate: Certificate
    meeting: Meeting
    mix: Callable[[bytes], None] = lambda _: None


@asynccontextmanager
async def serving_sites(sites: Sequence[Site], folder: Path) -> AsyncIterator[Served]:
    """Serve the sites on a free loopback port; the certificate's files are written to `folder`."""
    certificate = Certificate.write(folder)
    listening = socket.create_server(("127.0.0.1", 0))
    served = Served(listening.getsockname()[1], certificate, Meeting())
    config = uvicorn.Config(
        _app(sites, served),
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate.certificate_file,
        ssl_keyfile=certificate.key_file,
        ws_per_message_deflate=False,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield served
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=_STOP_S)
        listening.close()


def _app(sites: Sequence[Site], served: Served) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.websocket("/replica/socket")
    async def page(socket: WebSocket) -> None:
        await served.meeting.attend(socket)

    @app.websocket("/replica/sound")
    async def sound(socket: WebSocket) -> None:
        await served.meeting.play(socket)

    @app.websocket("/replica/mix")
    async def mix(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                served.mix(await socket.receive_bytes())

    @app.get("/replica/static/{name}")
    async def static(name: str) -> Response:
        return _file(_STATIC, name)

    @app.get("/replica/site/{name}")
    async def own(name: str, request: Request) -> Response:
        site = _site(sites, request)
        return Response(status_code=404) if site is None else _file(site.folder, name)

    @app.get("/{path:path}")
    async def address(path: str, request: Request) -> Response:
        await asyncio.sleep(served.meeting.look.slow_ms / 1000)
        site = _site(sites, request)
        if site is None:
            return Response(status_code=404)
        return _respond(site, site.open(_host(request), f"/{path}", dict(request.query_params)))

    return app


def _host(request: Request) -> str:
    return request.headers.get("host", "").partition(":")[0].lower()


def _site(sites: Sequence[Site], request: Request) -> Site | None:
    return next((site for site in sites if site.serves(_host(request))), None)


def _respond(site: Site, answer: Answer) -> Response:
    if answer.redirect:
        return RedirectResponse(answer.redirect, status_code=302)
    if answer.text:
        return Response(answer.text, media_type="text/plain")
    if not answer.file:
        return Response(status_code=answer.status)
    response = _file(site.folder, answer.file)
    response.status_code = answer.status
    return response


def _file(folder: Path, name: str) -> Response:
    path = folder / name
    if path.suffix not in _SERVED or path.parent != folder or not path.is_file():
        return Response(status_code=404)
    return FileResponse(path, headers=_FRESH)
