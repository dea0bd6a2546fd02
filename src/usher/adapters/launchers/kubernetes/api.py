"""One namespace of a cluster over its API: documents in, documents out."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from usher.domain.errors import Unavailable

Document = dict[str, Any]
Kind = Literal["pods", "secrets", "leases"]

_GROUPS: Mapping[Kind, str] = {
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "leases": "/apis/coordination.k8s.io/v1",
}
_JSON = "application/json"
_STRATEGIC_MERGE = "application/strategic-merge-patch+json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_UNAUTHORIZED, _TOO_MANY, _SERVER_ERROR = 401, 429, 500
_PAGE = 100
"""Objects in one answer: about half a megabyte of pods, so that reading it does not hold up the loop."""


class Refusal(Exception):
    """The API server answers, and what was asked for did not happen.

    Attributes:
        status: HTTP status.
        reason: The server's word for it (`AlreadyExists`, `NotFound`, `Conflict`, `Invalid`, …); may be empty.
        message: The server's sentence.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or status}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class KubernetesApi:
    """Speaks to one namespace. Connects at the first call, and anew after the cluster refused the credentials.

    Every method raises `Refusal` where the server says no, and `Unavailable` where it does not answer, is overloaded or
    does not know who asks: then the call may have happened or not.

    Args:
        kubeconfig: File that names the cluster; None for the cluster that this process runs in.
        context: Context of the file; None for its current one.
        namespace: Namespace of everything.
        timeout_s: How long one call may take.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None, namespace: str, timeout_s: float) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._client: ApiClient | None = None
        self._connecting = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections. Idempotent; a later call connects anew."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def find(self, kind: Kind, name: str) -> Document | None:
        """Return an object, or None if there is none of that name."""
        try:
            return await self._call("GET", self._path(kind, name))
        except Refusal as refusal:
            if refusal.reason == "NotFound":
                return None
            raise

    async def create(self, kind: Kind, document: Document) -> Document:
        """Create an object and return it as the server made it."""
        return await self._call("POST", self._path(kind), body=document)

    async def patch(self, kind: Kind, name: str, change: Document) -> Document:
        """Change an object by a strategic merge patch; `metadata.uid` in it makes sure that it is the one meant."""
        return await self._call("PATCH", self._path(kind, name), body=change, content_type=_STRATEGIC_MERGE)

    async def delete(self, kind: Kind, name: str, *, uid: str, grace_s: int | None = None) -> None:
        """Ask for the end of one object; it may be there until its finalizers have gone.

        Args:
            kind: Kind of the object.
            name: Its name.
            uid: Only if it is still the same object.
            grace_s: Time for a pod's processes to end by themselves; None for what the pod says of itself.
        """
        options: Document = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        await self._call("DELETE", self._path(kind, name), body=options)

    async def each(self, kind: Kind, labels: str) -> AsyncIterator[Document]:
        """Pass on every object with the labels, page by page, as of one moment."""
        page = {"labelSelector": labels, "limit": str(_PAGE)}
        while True:
            answer = await self._call("GET", self._path(kind), query=page)
            for document in answer.get("items", ()):
                yield document
            token = answer.get("metadata", {}).get("continue")
            if not token:
                return
            page["continue"] = token

    async def log(self, pod: str, container: str, *, lines: int) -> AsyncIterator[bytes]:
        """Pass on the last lines of a container's output, in pieces."""
        query = {"container": container, "tailLines": str(lines)}
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with self._answer("GET", f"{self._path('pods', pod)}/log", query, timeout=timeout) as answer:
            async for piece in answer.content.iter_any():
                yield piece

    async def changes(self, kind: Kind, labels: str, *, silence_s: float) -> AsyncGenerator[bytes]:
        """Pass on the beginning of the line of each change from now on, until the server ends the stream.

        Args:
            kind: Kind of the objects.
            labels: Their labels.
            silence_s: The server sends a bookmark a minute; a connection that is silent for so long is dead.
        """
        now = await self._call("GET", self._path(kind), query={"labelSelector": labels, "limit": "1"})
        query = {
            "labelSelector": labels,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": now["metadata"]["resourceVersion"],
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=silence_s)
        answering = self._answer("GET", self._path(kind), query, timeout=timeout, accept=_METADATA_ONLY)
        async with answering as answer:
            yield b""
            async for line in _line_heads(answer.content):
                yield line

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        content_type: str = _JSON,
    ) -> Document:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        asking = self._answer(method, path, query or {}, timeout=timeout, body=body, content_type=content_type)
        async with asking as answer:
            said = await answer.read()
        try:
            document: Document = json.loads(said)
        except ValueError:
            raise Unavailable("the API server's answer is not JSON") from None
        return document

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        timeout: aiohttp.ClientTimeout,
        body: Document | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, and yield the answer if it is a yes."""
        try:
            client = await self._connected()
            answer: aiohttp.ClientResponse = await client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": accept, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
            async with answer:
                if not answer.ok:
                    await self._refuse(answer)
                yield answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"the API server does not answer: {_explain(error)}") from None

    async def _refuse(self, answer: aiohttp.ClientResponse) -> None:
        """Raise what a no means."""
        said = await answer.content.read(100_000)
        try:
            status = json.loads(said)
        except ValueError:
            status = {}
        told = status if isinstance(status, dict) else {}
        reason, message = str(told.get("reason", "")), str(told.get("message", answer.reason))
        if answer.status == _UNAUTHORIZED:
            await self.aclose()
        if answer.status in (_UNAUTHORIZED, _TOO_MANY) or answer.status >= _SERVER_ERROR:
            raise Unavailable(f"the API server says {answer.status}: {message}")
        raise Refusal(answer.status, reason, message)

    async def _connected(self) -> ApiClient:
        async with self._connecting:
            if self._client is None:
                configuration = Configuration()
                try:
                    async with asyncio.timeout(self._timeout_s):
                        await self._configure(configuration)
                except ConfigException as error:
                    raise Unavailable(f"the cluster is not known: {error}") from None
                self._client = ApiClient(configuration)
            return self._client

    async def _configure(self, configuration: Configuration) -> None:
        if self._kubeconfig is None:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # the package has no types there
        else:
            await load_kube_config(
                str(self._kubeconfig), self._context, client_configuration=configuration, persist_config=False
            )

    def _path(self, kind: Kind, name: str | None = None) -> str:
        path = f"{_GROUPS[kind]}/namespaces/{self._namespace}/{kind}"
        return path if name is None else f"{path}/{name}"


async def _line_heads(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Pass on the first bytes of each line, however long the line is."""
    head = b""
    async for piece in content.iter_any():
        first, *rest = piece.split(b"\n")
        head = (head + first)[:_HEAD_BYTES]
        for begun in rest:
            if head:
                yield head
            head = begun[:_HEAD_BYTES]


_HEAD_BYTES = 64


def _explain(error: Exception) -> str:
    return str(error) or type(error).__name__
