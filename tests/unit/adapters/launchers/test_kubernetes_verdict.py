"""What a pod's status means, for what a cluster of one node cannot be brought to."""

import pytest

from usher.adapters.launchers.kubernetes.api import Document
from usher.adapters.launchers.kubernetes.pod import KubernetesOptions, compose_pod, secret_name
from usher.adapters.launchers.kubernetes.verdict import has_begun, is_over, judge
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Observation, Running, Unknown, WorkloadName

_EXITED = {"exitCode": 143, "reason": "Error"}


def _pod(*, phase: str = "Running", state: Document | None = None, ready: bool = False, **status: object) -> Document:
    pod = compose_pod(WorkloadName(7, 1), KubernetesOptions())
    pod["spec"]["nodeName"] = "node"
    pod["status"] = {"phase": phase, **status}
    if state is not None:
        pod["status"]["containerStatuses"] = [{"name": "bot", "ready": ready, "state": state}]
    return pod


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _waiting(reason: str, message: str = "") -> Document:
    return _pod(phase="Pending", state={"waiting": {"reason": reason, "message": message}})


@pytest.mark.parametrize("reason", ["PreemptionByScheduler", "DeletionByTaintManager", "TerminationByKubelet"])
def test_a_place_that_was_taken_away(reason: str) -> None:
    disrupted = _condition("DisruptionTarget", "True", reason, "why")
    said = judge(_pod(phase="Failed", state={"terminated": _EXITED}, conditions=[disrupted]))
    assert said == Exited(143, f"{reason}: why", Reason.PREEMPTED)


def test_an_eviction_for_want_of_the_nodes_memory() -> None:
    said = judge(_pod(phase="Failed", state={"terminated": _EXITED}, reason="Evicted", message="low on memory"))
    assert said == Exited(143, "low on memory", Reason.PREEMPTED)


def test_a_pod_that_its_node_refused() -> None:
    said = judge(_pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"))
    assert said == Exited(None, "Node didn't have enough resource: cpu", Reason.NO_ROOM)


def test_a_node_that_was_deleted() -> None:
    collected = _condition("DisruptionTarget", "True", "DeletionByPodGC", "node no longer exists")
    said = judge(_pod(phase="Failed", state={"running": {}}, ready=True, conditions=[collected]))
    assert said == Exited(None, "its node was given up. DeletionByPodGC: node no longer exists", Reason.NODE_LOST)


@pytest.mark.parametrize(
    "pod",
    [
        _pod(phase="Unknown"),
        _pod(state={"running": {}}, ready=True, conditions=[_condition("Ready", "False")]),
        _pod(state={"running": {}}, reason="NodeLost"),
    ],
)
def test_a_node_that_is_not_heard_ends_nothing(pod: Document) -> None:
    assert isinstance(judge(pod), Unknown)
    assert not is_over(pod)


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (_pod(phase="Pending"), Running()),
        (_waiting("ContainerCreating"), Running()),
        (_waiting("PodInitializing"), Running()),
        (_pod(state={"running": {}}, ready=True, conditions=[_condition("Ready", "True")]), Running()),
        (_pod(state={"running": {}}, conditions=[_condition("Ready", "False")]), Running()),
    ],
)
def test_what_runs_or_will(pod: Document, said: Observation) -> None:
    assert judge(pod) == said
    assert not is_over(pod)


def test_a_pod_waits_for_its_own_secret_and_for_no_other() -> None:
    own = _pod(phase="Pending")
    message = f'secret "{secret_name(own)}" not found'
    own["status"]["containerStatuses"] = [
        {"name": "bot", "state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}}
    ]
    assert judge(own) == Running()
    other = judge(_waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"))
    assert isinstance(other, Exited)
    assert other.reason is Reason.LAUNCH_REJECTED


def test_a_container_that_has_ended_is_over_before_its_pod_is() -> None:
    """What keeps the kubelet busy after that is no life."""
    pod = _pod(state={"terminated": {"exitCode": 3, "reason": "Error"}})
    assert is_over(pod)
    assert judge(pod) == Exited(3)


def test_a_container_that_the_kubelet_did_not_find_has_no_exit_code() -> None:
    lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "could not be located"}
    assert not is_over(_pod(state={"terminated": lost}))
    said = judge(_pod(phase="Failed", state={"terminated": lost}))
    assert isinstance(said, Exited)
    assert said.code is None


def test_a_container_that_the_cluster_added_is_not_the_bot() -> None:
    pod = _pod(state={"running": {}}, ready=True)
    pod["status"]["containerStatuses"].insert(0, {"name": "proxy", "state": {"terminated": _EXITED}})
    assert judge(pod) == Running()


def test_what_is_deleted_before_it_has_a_node_never_begins() -> None:
    pod = _pod(phase="Pending")
    pod["metadata"]["deletionTimestamp"] = "2026-11-28T19:00:00Z"
    assert not is_over(pod)
    del pod["spec"]["nodeName"]
    assert is_over(pod)
    assert not has_begun(pod)


@pytest.mark.parametrize(
    ("why", "message", "reason"),
    [
        ("InvalidImageName", "", Reason.IMAGE_MISSING),
        ("ErrImagePull", "manifest unknown", Reason.IMAGE_MISSING),
        ("ErrImagePull", "pull access denied, repository does not exist", Reason.IMAGE_MISSING),
        ("ImagePullBackOff", 'Back-off pulling image "a": ErrImagePull: 401 Unauthorized', Reason.IMAGE_MISSING),
        ("ImagePullBackOff", "dial tcp: i/o timeout", Reason.LAUNCH_FAILED),
    ],
)
def test_an_image_that_is_not_had(why: str, message: str, reason: Reason) -> None:
    said = judge(_waiting(why, message))
    assert isinstance(said, Exited)
    assert said.reason is reason


def test_one_failure_to_reach_a_registry_is_none() -> None:
    assert judge(_waiting("ErrImagePull", "dial tcp: i/o timeout")) == Running()
