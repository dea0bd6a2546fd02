"""What a pod's status says of its workload. Pure.

A pod has ended when the kubelet says that its only container has, for it is never run again, or when the pod's phase is
`Succeeded` or `Failed`: the kubelet writes that after the last container has died, and the control plane only for a pod
whose node is not part of the cluster any more. A pod that is being deleted and was given to no node has ended as well:
nothing that is being deleted is bound to a node.

A node that does not answer ends nothing: its pods are `Unknown`, because they may be running. They are lost for
certain when the control plane itself gives them up and says `Failed` of a pod whose container is still on record as
running: the node was deleted, or an administrator said that it is out of service. Kubernetes takes that for proof that
nothing runs, and so do we; a bot that lives on all the same is refused by its attempt when it reports.

Source: Kubernetes documentation, "Pod Lifecycle" and "Disruptions"; API reference, PodStatus.
"""

import re
import signal
from collections.abc import Mapping
from contextlib import suppress

from usher.adapters.launchers.kubernetes.api import Document
from usher.adapters.launchers.kubernetes.pod import CONTAINER, secret_name
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Observation, Running, Unknown

_NO_IMAGE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_PULL_TROUBLE = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"})
_REFUSED = re.compile(
    r"not found|manifest unknown|does not exist|denied|unauthorized|forbidden|SignatureValid", re.IGNORECASE
)
"""What a registry says that answers and does not have the image, or not for us."""
_NOT_FOUND = "ContainerStatusUnknown"
"""The kubelet's word, with a made-up exit code, for a container that it did not find: it was never made, or is lost."""
_CANNOT_BE_RUN = frozenset({"StartError", "ContainerCannotRun"})
_TAKEN_AWAY = frozenset({"Evicted", "Preempting", "Terminated", "NodeShutdown"})
_SIGNALLED = 128
_MOST_DETAIL = 1000


def judge(pod: Document) -> Observation:
    """Say what is known of a pod that exists."""
    if is_over(pod):
        return _ending(pod)
    status = pod.get("status", {})
    if status.get("phase") == "Unknown" or status.get("reason") == "NodeLost":
        return Unknown(_shorten(status.get("message") or "its node does not answer"))
    container = _container(pod)
    waiting = _state(container, "waiting")
    if waiting is not None:
        return _not_begun(pod, waiting)
    # Only the control plane says that a pod is not ready whose container is: it has not heard of the node.
    if container.get("ready") and _condition(pod, "Ready").get("status") == "False":
        return Unknown("its node does not answer")
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Running(waiting=_shorten(f"no room: {scheduled.get('message', '')}"))
    return Running()


def is_over(pod: Document) -> bool:
    """Say whether nothing of a pod runs, or ever will."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or _found_dead(pod) is not None:
        return True
    return "deletionTimestamp" in pod["metadata"] and not pod["spec"].get("nodeName")


def has_begun(pod: Document) -> bool:
    """Say whether a pod's container has run, as far as the API server has heard."""
    container = _container(pod)
    return any(_state(container, state) is not None for state in ("running", "terminated"))


def last_words(pod: Document) -> bytes:
    """Return what the container left in its termination message."""
    words: str = (_found_dead(pod) or {}).get("message", "")
    return words.encode()


def _ending(pod: Document) -> Exited:
    status = pod.get("status", {})
    terminated = _found_dead(pod)
    if _state(_container(pod), "running") is not None:
        return Exited(None, _shorten(f"its node was given up. {_disruption(pod)}"), Reason.NODE_LOST)
    if terminated is None:
        return _ended_before_it_began(pod)
    code = terminated.get("exitCode")
    if terminated.get("reason") == "OOMKilled":
        return Exited(code, "out of memory", Reason.OUT_OF_MEMORY)
    if terminated.get("reason") in _CANNOT_BE_RUN:
        return Exited(code, _shorten(terminated.get("message", "")), Reason.LAUNCH_REJECTED)
    reason = _taken_away(pod)
    if reason is not None:
        return Exited(code, _shorten(_disruption(pod) or status.get("message", "")), reason)
    return Exited(code, _killed_by(code))


def _ended_before_it_began(pod: Document) -> Exited:
    status = pod.get("status", {})
    message = _shorten(_disruption(pod) or status.get("message", "") or "it was ended before it began")
    reason = _taken_away(pod)
    if reason is None and str(status.get("reason", "")).startswith("OutOf"):
        reason = Reason.NO_ROOM
    return Exited(None, message, reason)


def _taken_away(pod: Document) -> Reason | None:
    """Say whether the cluster ended the pod for reasons of its own."""
    disrupted = _condition(pod, "DisruptionTarget")
    if disrupted.get("status") == "True":
        return Reason.NODE_LOST if disrupted.get("reason") == "DeletionByPodGC" else Reason.PREEMPTED
    return Reason.PREEMPTED if pod.get("status", {}).get("reason") in _TAKEN_AWAY else None


def _disruption(pod: Document) -> str:
    condition = _condition(pod, "DisruptionTarget")
    return f"{condition.get('reason', '')}: {condition.get('message', '')}" if condition else ""


def _not_begun(pod: Document, waiting: Mapping[str, str]) -> Observation:
    """Judge a container that waits. What can not be run as it stands counts as ended, though the kubelet tries on."""
    why, message = waiting.get("reason", ""), waiting.get("message", "")
    if why in _NO_IMAGE or why in _PULL_TROUBLE:
        return _without_image(why, message)
    if why == "CreateContainerConfigError" and secret_name(pod) not in message:
        return Exited(None, _shorten(f"{why}: {message}"), Reason.LAUNCH_REJECTED)
    return Running()


def _found_dead(pod: Document) -> Document | None:
    """Return how the container ended, if it has and the kubelet saw it."""
    terminated = _state(_container(pod), "terminated")
    return None if terminated is None or terminated.get("reason") == _NOT_FOUND else terminated


def _without_image(why: str, message: str) -> Observation:
    """Judge what is not pulled. A registry that does not answer may do so soon: one failure is none, several are."""
    told = _shorten(f"{why}: {message}")
    if why in _NO_IMAGE or _REFUSED.search(told):
        return Exited(None, told, Reason.IMAGE_MISSING)
    return Running() if why == "ErrImagePull" else Exited(None, told, Reason.LAUNCH_FAILED)


def _killed_by(code: int | None) -> str:
    if code is not None and code > _SIGNALLED:
        with suppress(ValueError):
            return f"killed by {signal.Signals(code - _SIGNALLED).name}"
    return ""


def _container(pod: Document) -> Document:
    """Return the status of the bot's container; a cluster may add containers of its own."""
    statuses: list[Document] = pod.get("status", {}).get("containerStatuses") or []
    return next((one for one in statuses if one["name"] == CONTAINER), {})


def _state(container: Document, state: str) -> Document | None:
    found: Document | None = container.get("state", {}).get(state)
    return found


def _condition(pod: Document, kind: str) -> Mapping[str, str]:
    conditions: list[Mapping[str, str]] = pod.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def _shorten(text: str) -> str:
    return text[:_MOST_DETAIL]
