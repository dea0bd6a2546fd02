"""The few calls of Nomad's HTTP API that the launcher makes."""

import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from usher.adapters.launchers.nomad.job import TASK, NomadOptions
from usher.domain.errors import Unavailable

_CONNECT_S = 5.0
_MOST_CONNECTIONS = 256
_STREAM_SILENCE_S = 90.0
_NS = 1_000_000_000

_NOT_ALLOWED = "Permission denied"
_EXISTS = "job already exists"
# Nomad answers 500 to nearly everything: what is wrong with a request itself is told by its text alone.
_OWN_FAULT = re.compile(r"^\d+ errors? occurred|limited to \d+|validation failed|exceeds the maximum", re.IGNORECASE)


class Refused(Exception):
    """Nomad says that the request is wrong and will stay wrong."""


class Answer(NamedTuple):
    """An answer of Nomad.

    Attributes:
        status: HTTP status: 2xx, 404 or 409.
        body: What the JSON says; None with 404.
        at_index: How new it is: a later question can wait for something newer.
        at_ns: When it was given, by the server's clock; nanoseconds since 1970, to the second.
    """

    status: int
    body: Any
    at_index: int
    at_ns: int


class NomadApi:
    """Asks Nomad, with a bound on every wait.

    Every method raises `Unavailable` if Nomad does not answer or does not allow it, and `Refused` if the request
    itself is wrong.

    Source: Nomad documentation, "HTTP API", version 1.6; answers to errors as observed with 1.6.1.
    """

    def __init__(self, options: NomadOptions) -> None:
        self._timeout_s = options.timeout_s
        parameters = {"namespace": options.namespace}
        if options.region is not None:
            parameters["region"] = options.region
        self._http = httpx.AsyncClient(
            base_url=options.url.rstrip("/"),
            params=parameters,
            headers={"X-Nomad-Token": options.token} if options.token else {},
            timeout=httpx.Timeout(options.timeout_s, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS),
            verify=_trust(options),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def register(self, job: Mapping[str, Any]) -> bool:
        """Register a job that does not exist; False if there is one by that name.

        Two at the very same time may both be told True: the second is then the same job once more, and changes nothing.
        """
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": 0}
        answer = await self._http_call("PUT", "/v1/jobs", body=body)
        if answer.status_code >= 400 and _EXISTS in answer.text:
            return False
        _read(answer)
        return True

    async def jobs(self, prefix: str) -> list[dict[str, Any]]:
        """Return a line about each job whose name begins with `prefix`."""
        answer = await self.ask("GET", "/v1/jobs", {"prefix": prefix, "meta": "true"})
        return list(answer.body or ())

    async def deregister(self, job_id: str, *, purge: bool) -> None:
        """Stop a job, and forget it too if `purge`. Idempotent."""
        await self.ask("DELETE", f"/v1/job/{job_id}", {"purge": "true" if purge else "false"})

    async def allocations(self, job_id: str, *, after: int = 0, wait_s: float = 0.0) -> Answer:
        """Return the allocations of a job, also of one that was forgotten.

        Args:
            job_id: Name of the job.
            after: Wait until there is something newer than this index, if not 0.
            wait_s: Wait at most this long.
        """
        waiting = {"index": str(after), "wait": f"{int(wait_s * 1000)}ms"} if after else {}
        return await self.ask("GET", f"/v1/job/{job_id}/allocations", waiting, patience_s=wait_s * 17 / 16)

    async def blocked(self, job_id: str = "") -> list[dict[str, Any]]:
        """Return the evaluations that wait for room, of one job or of all."""
        only = {"job": job_id} if job_id else {}
        answer = await self.ask("GET", "/v1/evaluations", {"status": "blocked", **only})
        return list(answer.body or ())

    async def signal(self, allocation_id: str, name: str) -> bool:
        """Send the bot a signal; False if it could not be sent: the bot does not run, or its node does not answer."""
        body = {"Task": TASK, "Signal": name}
        answer = await self._http_call("PUT", f"/v1/client/allocation/{allocation_id}/signal", body=body)
        return answer.status_code < 400

    async def clear(self, allocation_id: str) -> bool:
        """Delete the files of an allocation that has ended; False if its node does not do it."""
        answer = await self._http_call("GET", f"/v1/client/allocation/{allocation_id}/gc")
        return answer.status_code < 400

    async def log_tail(self, allocation_id: str, stream: str, last_bytes: int) -> bytes:
        """Return the end of `stdout` or `stderr`; empty if there is none."""
        asked = {"task": TASK, "type": stream, "plain": "true", "origin": "end", "offset": str(last_bytes)}
        return (await self._content(f"/v1/client/fs/logs/{allocation_id}", asked, last_bytes))[-last_bytes:]

    async def file(self, allocation_id: str, path: str, most_bytes: int) -> bytes:
        """Return what a file of an allocation holds; empty if it is missing, or longer than `most_bytes`."""
        stat = await self._http_call("GET", f"/v1/client/fs/stat/{allocation_id}", {"path": path})
        # A file that cannot be read is answered with 200 and a complaint for its content.
        if stat.status_code != 200 or not 0 < stat.json()["Size"] <= most_bytes:
            return b""
        asked = {"path": path, "offset": "0", "limit": str(most_bytes)}
        return await self._content(f"/v1/client/fs/readat/{allocation_id}", asked, most_bytes)

    async def events(self, topic: str) -> AsyncIterator[bytes]:
        """Yield pieces of the stream of events of a topic, from now on, until it ends."""
        timeout = httpx.Timeout(_STREAM_SILENCE_S, connect=_CONNECT_S)
        try:
            async with self._http.stream("GET", "/v1/event/stream", params={"topic": topic}, timeout=timeout) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    _read(answer)
                async for piece in answer.aiter_bytes():
                    yield piece
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"Nomad tells nothing any more: {_explain(error)}") from None

    async def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        patience_s: float = 0.0,
    ) -> Answer:
        """Make one call; `patience_s` is how long Nomad may take beyond the usual."""
        return _read(await self._http_call(method, path, parameters, body, patience_s=patience_s))

    async def _content(self, path: str, parameters: Mapping[str, str], most_bytes: int) -> bytes:
        """Read no more of an answer than `most_bytes`, whatever comes."""
        kept = bytearray()
        try:
            async with self._http.stream("GET", path, params=dict(parameters)) as answer:
                if answer.status_code != 200:
                    return b""
                async for piece in answer.aiter_bytes():
                    kept += piece
                    if len(kept) >= most_bytes:
                        break
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"Nomad does not answer: {_explain(error)}") from None
        return bytes(kept[:most_bytes])

    async def _http_call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        patience_s: float = 0.0,
    ) -> httpx.Response:
        timeout = httpx.Timeout(self._timeout_s + patience_s, connect=_CONNECT_S)
        try:
            return await self._http.request(method, path, params=dict(parameters or {}), json=body, timeout=timeout)
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"Nomad does not answer: {_explain(error)}") from None


def _trust(options: NomadOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.ca_file)
    if options.certificate_file is not None:
        context.load_cert_chain(options.certificate_file, options.key_file)
    return context


def _read(answer: httpx.Response) -> Answer:
    status, said = answer.status_code, answer.text if answer.status_code >= 400 else ""
    if status in {401, 403} or (status >= 500 and said.strip() == _NOT_ALLOWED):
        raise Unavailable("Nomad refuses the token: it is unknown, or has not the rights that the launcher needs")
    if status in {400, 413} or (status >= 500 and _OWN_FAULT.search(said)):
        raise Refused(" ".join(said.split()))
    if status >= 400 and status not in (404, 409):
        raise Unavailable(f"Nomad answers {status}: {' '.join(said.split())}")
    try:
        body = json.loads(answer.content) if status != 404 and answer.content else None
        at_ns = int(parsedate_to_datetime(answer.headers["date"]).timestamp()) * _NS
        return Answer(status, body, int(answer.headers.get("x-nomad-index", 0)), at_ns)
    except (ValueError, KeyError, TypeError):
        raise Unavailable("what answers in the place of Nomad is something else") from None


def _explain(error: Exception) -> str:
    return str(error) or type(error).__name__
