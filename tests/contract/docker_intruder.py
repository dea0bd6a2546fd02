"""Runs inside a real bot's container, as a page would that has taken over the bot: with all that the bot has.

Says, as JSON, what it got hold of. The argument is JSON as well: `address:port` of what is behind the firewall, and the
connection of another bot. Uses the packages of the image and the bot's own credentials, from its environment.
"""

import http.client
import json
import os
import socket
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import RedisError

_PATIENCE_S = 3.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL answers one byte: S or N
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")
_REPORTS = {
    "started": {"seq": 1},
    "status": {"seq": 1, "status": "joining"},
    "exited": {"seq": 1, "exit_code": 0, "reason": "stopped"},
    "heartbeat": {"sent": []},
    "commands/1": {"outcome": "applied"},
}


def main() -> None:
    """Try everything and say what came of it."""
    asked = json.loads(sys.argv[1])
    bot = json.loads(os.environ["USHER_BOT"])
    told = {
        "variables": sorted(os.environ),
        "document": sorted(bot),
        "sockets": [path for path in _SOCKETS if Path(path).exists()],
        "unix_sockets": Path("/proc/net/unix").read_text().count("docker"),
        **_behind_the_walls(asked),
        "door": _behind_the_door(bot["manager_url"]),
        "own": _call(bot, bot["connection_id"]),
        "other": _call(bot, asked["other"]),
        "redis": _redis(bot, asked["other"]),
    }
    sys.stdout.write(json.dumps(told))


def _behind_the_walls(asked: dict[str, str]) -> dict[str, object]:
    """Ask all at once, because what is silent is silent for long."""
    api = [f"http://{asked['api']}{path}" for path in ("/health", "/admin/users", "/bots/status")]
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(_get, [*api, f"http://{asked['metadata']}/latest/meta-data/"])
        postgresql = threads.submit(_postgresql, asked["postgresql"])
        *said, metadata = answers
    paths = [urlsplit(url).path for url in api]
    return {"api": dict(zip(paths, said, strict=True)), "metadata": metadata, "postgresql": postgresql.result()}


def _postgresql(place: str) -> str:
    """Greet a PostgreSQL; return its answer."""
    address, port = place.rsplit(":", 1)
    try:
        with socket.create_connection((address, int(port)), _PATIENCE_S) as connection:
            connection.sendall(_SSL_REQUEST)
            return connection.recv(1).decode()
    except OSError as error:
        return type(error).__name__


def _get(url: str) -> int | str:
    return _send("GET", url)


def _send(method: str, url: str, body: object = None, token: str = "") -> int | str:
    """Return the status of the answer, or the name of the error."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_PATIENCE_S)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request(method, parts.path, None if body is None else json.dumps(body), headers)
        return connection.getresponse().status
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()


def _behind_the_door(url: str) -> dict[str, int | str]:
    """Ask the manager's port for bots for what is not for bots."""
    asked = (
        ("GET", "/admin/users"),
        ("POST", "/admin/users"),
        ("GET", "/bots/status"),
        ("POST", "/bots"),
        ("GET", "/meetings"),
        ("GET", "/health"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics"),
    )
    body = {"email": "eve@example.com"}
    return {f"{method} {path}": _send(method, url + path, body if method == "POST" else None) for method, path in asked}


def _call(bot: dict[str, Any], connection_id: str) -> dict[str, int | str]:
    """Speak for a connection with the bot's own token; of its own only what changes nothing."""
    base = f"{bot['manager_url']}/internal/bots/{connection_id}"
    said = {"GET commands": _send("GET", f"{base}/commands", token=bot["token"])}
    own = connection_id == bot["connection_id"]
    for path, body in _REPORTS.items():
        if path == "heartbeat" or not own:
            said[f"POST {path}"] = _send("POST", f"{base}/{path}", body, bot["token"])
    return said


def _redis(bot: dict[str, Any], other: str) -> dict[str, str]:
    """Use the bot's account for what it is for, and for what it is not."""
    with Redis.from_url(bot["redis_url"], socket_timeout=_PATIENCE_S, decode_responses=True) as redis:
        own, stream = f"bot_commands:{bot['connection_id']}", "usher:segments"
        tries: dict[str, tuple[str, ...]] = {
            "PING": (),
            "XADD another stream": ("XADD", "other", "*", "a", "b"),
            "PUBLISH own": ("PUBLISH", own, "{}"),
            "PUBLISH other": ("PUBLISH", f"bot_commands:{other}", '{"action": "leave", "seq": 99}'),
            "PUBLISH live": ("PUBLISH", "usher:live:1", "{}"),
            "XRANGE": ("XRANGE", stream, "-", "+"),
            "XREAD": ("XREAD", "STREAMS", stream, "0"),
            "XDEL": ("XDEL", stream, "0-1"),
            "KEYS": ("KEYS", "*"),
            "SCAN": ("SCAN", "0"),
            "CONFIG": ("CONFIG", "GET", "requirepass"),
            "FLUSHALL": (),
            "ACL LIST": ("ACL", "LIST"),
            "ACL SETUSER": ("ACL", "SETUSER", "eve", "on", "nopass", "~*", "&*", "+@all"),
            "CLIENT LIST": ("CLIENT", "LIST"),
            "EVAL": ("EVAL", "return 1", "0"),
        }
        said = {name: _refusal(redis, *(words or (name,))) for name, words in tries.items()}
        said["SUBSCRIBE own"] = _subscribed(redis, "SUBSCRIBE", own)
        said["SUBSCRIBE other"] = _subscribed(redis, "SUBSCRIBE", f"bot_commands:{other}")
        said["PSUBSCRIBE"] = _subscribed(redis, "PSUBSCRIBE", "*")
        return said


def _refusal(redis: "Redis", *words: str) -> str:
    return _word(lambda: redis.execute_command(*words))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


def _subscribed(redis: "Redis", command: str, channel: str) -> str:
    """Subscribe on a connection of its own."""

    def listen() -> None:
        with redis.pubsub() as listener:  # type: ignore[no-untyped-call]  # as above
            listener.execute_command(command, channel)
            listener.parse_response(timeout=_PATIENCE_S)

    return _word(listen)


def _word(act: Callable[[], object]) -> str:
    """Return `ok`, or the first word of the refusal."""
    try:
        act()
    except RedisError as error:
        name = type(error).__name__
        return "NOPERM" if name == "NoPermissionError" else f"{name}: {error}"
    return "ok"


if __name__ == "__main__":
    main()
