"""Launcher for a Kubernetes cluster: each workload is a bare pod that nothing starts a second time.

What is known of a workload is in the cluster alone: in the pod, which a finalizer keeps after its end until `remove`,
and in a lease for each name that is spent. So any number of managers see and stop the same workloads.

Why a name that is spent cannot begin. A pod cannot begin before the secret that holds its environment is there. A
start makes the pod, then looks whether the name is spent, then makes the secret. An end notes that the name is spent,
then looks for the pod. Whichever of the two looks last sees what the other did first: either the end finds the pod and
ends it, or the start finds the note, and the secret is never made. A manager may be paused at any point of a start:

* before it made the pod: the note is there when it looks.
* between pod and look: the end may have found the pod; if not, see above.
* between look and secret: the note was not there when it looked, so whoever ends the name sees the pod, and ends it.
  The secret then belongs to a pod that is gone, and the cluster deletes it.

The name of the secret is drawn by lot for each pod and stands in the pod. So the secret of an earlier pod of the name
does not let a later one begin, and a manager that adopts a pod makes the very secret that this one waits for: two
starts at once are one pod and one secret. A manager that dies between pod and secret leaves a pod that does not begin,
until the launch is tried again or its deadline passes; no secret is without an owner at any time.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress

import structlog

from usher.adapters.launchers.kubernetes.api import Document, KubernetesApi, Refusal
from usher.adapters.launchers.kubernetes.pod import (
    CONTAINER,
    FINALIZER,
    INSTALLATION_LABEL,
    OUTPUT_BYTES,
    KubernetesOptions,
    compose_pod,
    compose_secret,
    keep_output,
    kept_output,
    selector,
    workload_of,
)
from usher.adapters.launchers.kubernetes.spent import SpentNames
from usher.adapters.launchers.kubernetes.verdict import has_begun, is_over, judge, last_words
from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.reconcile import Gone, Observation, Unknown, WorkloadName
from usher.ports import WorkloadSpec

log = structlog.get_logger(__name__)

_FIRST_LOOK_S, _SLOWEST_LOOK_S = 0.05, 0.5
_QUICKEST_S = 1
"""The shortest grace that leaves it to the kubelet to say when a pod is dead; 0 would forget the pod at once."""
_SILENCE_S = 150.0
_LINE_BYTES = 80
_KEEP_S = 2.0
_NOT_KEPT = b"unable to retrieve container logs for "
"""What the kubelet prints in the place of the output of a container that it has deleted."""
_EVERY_ERROR = b'{"type":"ERROR"'


class KubernetesLauncher:
    """Runs workloads as pods of one namespace.

    A pod that has begun is stopped by its deadline (`activeDeadlineSeconds`), which gives its processes the pod's own
    grace and leaves pod, exit code and output in place. Once the kubelet ends a pod, it does not hear of a shorter
    grace (seen with 1.34). So a pod that gets less than its own is deleted instead; as the kubelet throws away the
    output of a deleted pod, the end of it is written to the pod before.

    Args:
        options: Where and how pods run.
    """

    def __init__(self, options: KubernetesOptions) -> None:
        self._options = options
        self._api = KubernetesApi(options.kubeconfig, options.context, options.namespace, options.timeout_s)
        self._spent = SpentNames(self._api, options.installation)

    async def aclose(self) -> None:
        """Close the connections to the API server. Idempotent."""
        await self._api.aclose()

    async def start(self, spec: WorkloadSpec) -> None:
        """Make the pod and let it begin; it waits in the cluster for room. One that was made before is adopted.

        Raises:
            LaunchRejected: The cluster refuses it for good, or the name is spent; nothing of it runs.
            NoRoom: A quota of the namespace is used up; nothing of it runs.
            Unavailable: The API server does not answer; the pod may be there, and may begin or not.
        """
        try:
            pod = await self._make_pod(spec.name)
            if has_begun(pod) or is_over(pod):
                return
            if await self._spent.has(self._engine_name(spec.name)):
                await self._erase(spec.name)
                raise LaunchRejected(f"{spec.name} was ended before it began")
            await self._let_begin(pod, spec)
        except Refusal as refusal:
            raise _rejection(refusal) from None

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Ask the pod to end, kill it after `grace_s` (two seconds at least), and wait for the kubelet's word.

        A second stop does not shorten the grace of the first.
        """
        try:
            await self._spent.add(self._engine_name(name))
            return await self._end(name, grace_s)
        except (Refusal, Unavailable) as error:
            return Unknown(str(error))

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload."""
        try:
            pod = await self._find(name)
        except (Refusal, Unavailable) as error:
            return Unknown(str(error))
        return Gone() if pod is None else judge(pod)

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Ask for all pods of the installation, as the API server's store has them now."""
        installation = self._options.installation
        found: dict[WorkloadName, Observation] = {}
        try:
            async for pod in self._api.each("pods", selector(installation)):
                name = workload_of(pod, installation)
                if name is not None:
                    found[name] = judge(pod)
        except (Refusal, Unavailable) as error:
            log.warning("workloads_not_listed", error=str(error))
            return None
        return found

    async def remove(self, name: WorkloadName) -> None:
        """Kill what is left and let the pod go; its secret goes with it.

        Raises:
            Unavailable: It could not be made sure that nothing of it runs; the pod stays.
        """
        try:
            await self._spent.add(self._engine_name(name))
            await self._erase(name)
        except Refusal as refusal:
            raise Unavailable(f"{name} cannot be removed: {refusal}") from None

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of the output; of a pod that was deleted and died, what was kept of it."""
        printed = await self._printed(name, last_bytes)
        if printed:
            return printed
        try:
            pod = await self._find(name)
        except (Refusal, Unavailable):
            return b""
        return b"" if pod is None else kept_output(pod)[-last_bytes:]

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return the container's termination message."""
        try:
            pod = await self._find(name)
        except (Refusal, Unavailable):
            return b""
        return b"" if pod is None else last_words(pod)

    async def listen(self, wake: Callable[[], None]) -> None:
        """Watch the installation's pods; every change of one is a hint."""
        changes = self._api.changes("pods", selector(self._options.installation), silence_s=_SILENCE_S)
        try:
            async with aclosing(changes):
                async for line in changes:
                    if line.startswith(_EVERY_ERROR):
                        break
                    wake()
        except Refusal as refusal:
            raise Unavailable(f"the pods cannot be watched: {refusal}") from None
        raise Unavailable("the API server ended the watch")

    def _engine_name(self, name: WorkloadName) -> str:
        return name.engine_name(self._options.installation)

    async def _find(self, name: WorkloadName) -> Document | None:
        """Return the workload's pod; somebody else's of the same name is none."""
        pod = await self._api.find("pods", self._engine_name(name))
        return pod if pod is not None and workload_of(pod, self._options.installation) == name else None

    async def _make_pod(self, name: WorkloadName) -> Document:
        try:
            return await self._api.create("pods", compose_pod(name, self._options))
        except Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise
        pod = await self._api.find("pods", self._engine_name(name))
        if pod is None:
            raise Unavailable(f"{name} was removed while it was started")
        if workload_of(pod, self._options.installation) != name:
            if "deletionTimestamp" in pod["metadata"] and not await self._spent.has(self._engine_name(name)):
                raise Unavailable(f"another pod by the name {self._engine_name(name)} is still on its way out")
            raise LaunchRejected(f"a pod that is not Usher's has the name {self._engine_name(name)}")
        return pod

    async def _let_begin(self, pod: Document, spec: WorkloadSpec) -> None:
        """Make the secret that the pod waits for. Where that is refused, the pod goes too, and may be made again."""
        try:
            await self._api.create("secrets", compose_secret(pod, spec.environment, self._options.installation))
        except Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                await self._erase(spec.name)
                raise

    async def _end(self, name: WorkloadName, grace_s: float) -> Observation:
        loop = asyncio.get_running_loop()
        give_up_at, look_s = loop.time() + grace_s + self._options.kill_timeout_s, _FIRST_LOOK_S
        while (pod := await self._find(name)) is not None:
            if is_over(pod):
                return judge(pod)
            if loop.time() >= give_up_at:
                return Unknown("its end was asked for, and its node has not said that it is dead")
            await self._ask_for_end(name, pod, max(math.ceil(grace_s), _QUICKEST_S))
            await asyncio.sleep(look_s)
            look_s = min(look_s * 1.5, _SLOWEST_LOOK_S)
        return Gone()

    async def _ask_for_end(self, name: WorkloadName, pod: Document, grace_s: int) -> None:
        """Have the kubelet end a pod, and kill it after a grace, unless that was asked: the pod says what was."""
        metadata, spec = pod["metadata"], pod["spec"]
        asked_s = metadata.get("deletionGracePeriodSeconds")
        if asked_s is None and "activeDeadlineSeconds" in spec:
            asked_s = spec["terminationGracePeriodSeconds"]
        if asked_s is not None and asked_s <= grace_s:
            return
        try:
            if asked_s is None and has_begun(pod) and spec["terminationGracePeriodSeconds"] <= grace_s:
                change = {"metadata": {"uid": metadata["uid"]}, "spec": {"activeDeadlineSeconds": 1}}
                await self._api.patch("pods", metadata["name"], change)
                return
            if grace_s > _QUICKEST_S and has_begun(pod):
                await self._keep_output(name, pod)
            await self._api.delete("pods", metadata["name"], uid=metadata["uid"], grace_s=grace_s)
        except Refusal as refusal:
            if refusal.reason not in ("NotFound", "Conflict"):
                raise

    async def _erase(self, name: WorkloadName) -> None:
        """Kill what is left of a pod and let it go, for certain."""
        left = await self._end(name, 0.0)
        if isinstance(left, Unknown):
            raise Unavailable(f"{name} cannot be removed: {left.detail}")
        pod = await self._find(name)
        if pod is not None:
            await self._let_go(pod["metadata"])

    async def _let_go(self, metadata: Document) -> None:
        """Delete a pod that has ended, and take the finalizer away that keeps it, and the label that makes it ours.

        The kubelet may have half a minute's work with it after that, which is no business of ours any more.
        """
        try:
            await self._api.delete("pods", metadata["name"], uid=metadata["uid"])
            change = {
                "uid": metadata["uid"],
                "labels": {INSTALLATION_LABEL: None},
                "$deleteFromPrimitiveList/finalizers": [FINALIZER],
            }
            await self._api.patch("pods", metadata["name"], {"metadata": change})
        except Refusal as refusal:
            if refusal.reason not in ("NotFound", "Conflict"):
                raise

    async def _keep_output(self, name: WorkloadName, pod: Document) -> None:
        """Write the end of the output to a pod that is about to be killed; for want of it nothing is put off."""
        printed = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_KEEP_S):
                printed = await self._printed(name, OUTPUT_BYTES)
        if printed:
            with suppress(Refusal):
                await self._api.patch("pods", self._engine_name(name), keep_output(pod, printed))

    async def _printed(self, name: WorkloadName, last_bytes: int) -> bytes:
        """Return the end of the output as far as the kubelet has it."""
        try:
            some = await self._tail(name, last_bytes // _LINE_BYTES + 1, last_bytes)
            # A line is one byte at least, so as many lines as bytes are always enough.
            return some if len(some) >= last_bytes else await self._tail(name, last_bytes, last_bytes)
        except (Refusal, Unavailable):
            return b""

    async def _tail(self, name: WorkloadName, lines: int, last_bytes: int) -> bytes:
        tail = b""
        async for piece in self._api.log(self._engine_name(name), CONTAINER, lines=lines):
            if not tail and piece.startswith(_NOT_KEPT):
                return b""
            tail = (tail + piece)[-last_bytes:]
        return tail


def _rejection(refusal: Refusal) -> Exception:
    """Return what the refusal of a pod or its secret means to the manager."""
    if "exceeded quota" in refusal.message:
        return NoRoom(f"the namespace's quota is used up: {refusal.message}")
    if refusal.reason == "Conflict":
        return Unavailable(f"the API server was of two minds: {refusal.message}")
    return LaunchRejected(f"the cluster refuses the pod: {refusal}")
