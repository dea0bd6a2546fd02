"""What Usher asks a cluster for: the pod of a workload, and the secret that lets it begin."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usher.adapters.launchers.kubernetes.api import Document
from usher.domain.reconcile import WorkloadName, parse_engine_name
from usher.protocol.last_words import LIMIT_VARIABLE as LAST_WORDS_LIMIT_VARIABLE
from usher.protocol.last_words import VARIABLE as LAST_WORDS_VARIABLE

CONTAINER = "bot"
FINALIZER = "usher.internal/evidence"
INSTALLATION_LABEL = "usher.installation"
KIND_LABEL = "usher.kind"
LAST_WORDS_BYTES = 4096
"""How much of a container's termination message the kubelet keeps.

Source: Kubernetes documentation, "Determine the Reason for Pod Failure".
"""

OUTPUT_BYTES = 8192
"""How much of a bot's output is kept in its pod where the kubelet will not keep it."""

_OUTPUT = "usher.internal/output"
_LAST_WORDS_PATH = "/dev/termination-log"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions:
    """Where and how pods run.

    Attributes:
        installation: Begins the names of pods, so that several Ushers can share a namespace.
        kubeconfig: File that names the cluster; None for the cluster that the manager runs in.
        context: Context of that file; None for its current one.
        namespace: Namespace of the pods; has to be there.
        image: Image of the bot.
        command: Program and arguments; None for those of the image.
        pull_policy: `Always`, `IfNotPresent` or `Never`.
        pull_secrets: Names of the secrets with which the image is pulled.
        service_account: Account of the pods; needs no rights, and no token of it is given to them.
        cpus: Processors, both what is asked for and the limit.
        memory_mb: Memory, both what is asked for and the limit, MiB; shared memory counts.
        shm_mb: `/dev/shm` at most, MiB.
        scratch_mb: `/tmp` and `home` at most, MiB each.
        uid: User and group of the processes; not 0.
        home: Home directory, empty at first.
        grace_s: Time for the bot to end by itself if the cluster ends it. A stop with a shorter grace than this loses
            what the bot prints in it.
        seccomp_profile: Profile of the nodes, as a path below the kubelet's directory for them; None for the runtime's.
        node_selector: Labels that a node has to have.
        tolerations: Taints that a node may have, as in a pod.
        priority_class: Priority class; None for the cluster's default.
        runtime_class: Runtime class; None for the cluster's default.
        timeout_s: How long one call to the API server may take.
        kill_timeout_s: How long a pod may take to die once it is killed.
    """

    installation: str = "usher"
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "usher"
    image: str = "usher-bot:latest"
    command: tuple[str, ...] | None = None
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    service_account: str = "usher-bot"
    cpus: float = 1.0
    memory_mb: int = 1500
    shm_mb: int = 512
    scratch_mb: int = 1024
    uid: int = 1000
    home: str = "/home/bot"
    grace_s: int = 5
    seccomp_profile: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str | None = None
    runtime_class: str | None = None
    timeout_s: float = 10.0
    kill_timeout_s: float = 20.0


def selector(installation: str, kind: str = "bot") -> str:
    """Return the label selector of an installation's objects."""
    return f"{INSTALLATION_LABEL}={installation},{KIND_LABEL}={kind}"


def labels(installation: str, kind: str = "bot") -> dict[str, str]:
    """Return the labels by which an installation knows its own objects."""
    return {
        "app.kubernetes.io/managed-by": "usher",
        "app.kubernetes.io/name": f"usher-{kind}",
        INSTALLATION_LABEL: installation,
        KIND_LABEL: kind,
    }


def workload_of(pod: Document, installation: str) -> WorkloadName | None:
    """Return which workload of the installation a pod is, or None if it is none of them."""
    metadata = pod["metadata"]
    ours = metadata.get("labels", {}).get(INSTALLATION_LABEL) == installation
    return parse_engine_name(metadata["name"], installation) if ours else None


def secret_name(pod: Document) -> str:
    """Return the name of the secret that a pod waits for."""
    container = next(one for one in pod["spec"]["containers"] if one["name"] == CONTAINER)
    name: str = container["envFrom"][0]["secretRef"]["name"]
    return name


def compose_pod(name: WorkloadName, options: KubernetesOptions) -> Document:
    """Return the pod of a workload; nothing of it is secret.

    Each pod waits for a secret of its own that nobody has made yet: one that is left of an earlier pod of the same name
    lets none begin.
    """
    engine_name = name.engine_name(options.installation)
    metadata = {
        "name": engine_name,
        "labels": labels(options.installation)
        | {"usher.meeting": str(name.meeting_id), "usher.attempt": str(name.attempt)},
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        "finalizers": [FINALIZER],
    }
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": options.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": options.grace_s,
        "securityContext": _security(options),
        "containers": [_container(f"{engine_name}-{secrets.token_hex(5)}", options)],
        "volumes": _volumes(options),
        "nodeSelector": dict(options.node_selector),
        "tolerations": [dict(toleration) for toleration in options.tolerations],
        "imagePullSecrets": [{"name": secret} for secret in options.pull_secrets],
        "priorityClassName": options.priority_class,
        "runtimeClassName": options.runtime_class,
    }
    given = {key: value for key, value in spec.items() if value is not None}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": given}


def compose_secret(pod: Document, environment: Mapping[str, str], installation: str) -> Document:
    """Return the secret that a pod waits for; the cluster deletes it with the pod, or if the pod is gone already."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(pod), "labels": labels(installation), "ownerReferences": [owner]},
        "immutable": True,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in environment.items()},
    }


def keep_output(pod: Document, printed: bytes) -> Document:
    """Return the change that writes the end of a pod's output to the pod."""
    kept = base64.b64encode(printed[-OUTPUT_BYTES:]).decode()
    return {"metadata": {"uid": pod["metadata"]["uid"], "annotations": {_OUTPUT: kept}}}


def kept_output(pod: Document) -> bytes:
    """Return what was written to a pod of its output."""
    kept: str = pod["metadata"].get("annotations", {}).get(_OUTPUT, "")
    try:
        return base64.b64decode(kept, validate=True)
    except ValueError:
        return b""


def _security(options: KubernetesOptions) -> Document:
    profile = {"type": "RuntimeDefault"}
    if options.seccomp_profile is not None:
        profile = {"type": "Localhost", "localhostProfile": options.seccomp_profile}
    return {
        "runAsNonRoot": True,
        "runAsUser": options.uid,
        "runAsGroup": options.uid,
        "seccompProfile": profile,
    }


def _container(secret: str, options: KubernetesOptions) -> Document:
    resources = {"cpu": f"{round(options.cpus * 1000)}m", "memory": f"{options.memory_mb}Mi"}
    container: Document = {
        "name": CONTAINER,
        "image": options.image,
        "imagePullPolicy": options.pull_policy,
        "envFrom": [{"secretRef": {"name": secret}}],
        "env": [
            {"name": "HOME", "value": options.home},
            {"name": LAST_WORDS_VARIABLE, "value": _LAST_WORDS_PATH},
            {"name": LAST_WORDS_LIMIT_VARIABLE, "value": str(LAST_WORDS_BYTES)},
        ],
        "terminationMessagePath": _LAST_WORDS_PATH,
        "terminationMessagePolicy": "File",
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the pod, and its own
            {"name": "home", "mountPath": options.home},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - in the pod, and its own
        ],
    }
    if options.command is not None:
        container["command"] = list(options.command)
    return container


def _volumes(options: KubernetesOptions) -> list[Document]:
    scratch = {"sizeLimit": f"{options.scratch_mb}Mi"}
    return [
        {"name": "tmp", "emptyDir": scratch},
        {"name": "home", "emptyDir": scratch},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{options.shm_mb}Mi"}},
    ]
