"""Docker seen without the launcher: a small client of its own that waits for answers."""

import http.client
import json
import socket
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

_PATIENCE_S = 60.0


class DockerApi:
    """Asks one engine, one connection a request.

    Args:
        address: `unix:///path`.
    """

    def __init__(self, address: str) -> None:
        self._path = urlsplit(address).path

    def get(self, path: str, **params: object) -> Any:  # noqa: ANN401 - documents of the engine's
        return json.loads(self.send("GET", path, params)[1])

    def post(self, path: str, body: object = None, **params: object) -> Any:  # noqa: ANN401 - as above
        status, said = self.send("POST", path, params, body)
        assert status < 400, said
        return json.loads(said or b"null")

    def delete(self, path: str, **params: object) -> None:
        self.send("DELETE", path, params)

    def send(self, method: str, path: str, params: dict[str, object], body: object = None) -> tuple[int, bytes]:
        connection = _UnixConnection(self._path)
        try:
            data, kind = (
                (body, "application/x-tar") if isinstance(body, bytes) else (json.dumps(body), "application/json")
            )
            query = urlencode({key: _encoded(value) for key, value in params.items()})
            connection.request(method, f"/v1.41/{quote(path)}?{query}", data, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.send("GET", "_ping", {})[0] == 200
        except OSError:
            return False

    def containers(self, **filters: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("containers/json", all=1, filters=filters)
        return found

    def run(self, image: str, command: list[str], *, name: str = "", network: str = "none", **more: object) -> str:
        """Start a container as anybody would, and return its id."""
        config = {"Image": image, "Cmd": command, "HostConfig": {"NetworkMode": network, "Init": True}, **more}
        made = self.post("containers/create", config, **({"name": name} if name else {}))
        self.post(f"containers/{made['Id']}/start")
        return str(made["Id"])

    def execute(self, container: str, command: list[str]) -> tuple[int, str]:
        """Run a program inside a container as the container's own user; return its exit code and what it printed."""
        config = {"Cmd": command, "AttachStdout": True, "AttachStderr": True, "Tty": True}
        made = self.post(f"containers/{container}/exec", config)["Id"]
        _, said = self.send("POST", f"exec/{made}/start", {}, {"Detach": False, "Tty": True})
        return int(self.get(f"exec/{made}/json")["ExitCode"]), said.decode(errors="replace").replace("\r\n", "\n")

    def sweep(self, label: str) -> None:
        """Remove everything that carries a label."""
        for one in self.containers(label=[label]):
            self.delete(f"containers/{one['Id']}", force=1, v=1)
        for kind, rows in (("volumes", "Volumes"), ("networks", None)):
            found = self.get(kind, filters={"label": [label]})
            for one in (found[rows] if rows else found) or ():
                self.delete(f"{kind}/{one['Name']}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def __enter__(self) -> Self:
        return self


def _encoded(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
