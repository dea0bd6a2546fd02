"""The chart: it renders what it should, refuses what it should, and a real API server takes all of it."""

import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from tests.support.engines import engine_home, needs_engine

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "usher"
CHECKED = CHART / "ci" / "values.yaml"
NAMESPACE = "usher-chart-check"
KUBERNETES = "v1.34.0"


def helm() -> Path:
    """Return the helm that `sh tools/engines/go_tool.sh helm` built."""
    module = ROOT / "tools" / "engines" / "helm"
    digest = hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()).hexdigest()[:16]
    binary = engine_home("helm") / f"helm-{digest}"
    if not binary.exists():
        pytest.skip("helm is not built: sh tools/engines/go_tool.sh helm")
    return binary


def run(command: Sequence[str | Path], stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=100, check=False)  # noqa: S603 - tools of the tests


def render(*options: str) -> subprocess.CompletedProcess[str]:
    fixed = ("template", "usher", CHART, "--namespace", NAMESPACE, "--kube-version", KUBERNETES)
    return run((helm(), *fixed, "--values", CHECKED, *options))


def documents(*options: str) -> list[dict[str, Any]]:
    """Return what the chart makes."""
    rendered = render(*options)
    assert rendered.returncode == 0, rendered.stderr
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def pod_specs(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in found:
        if document["kind"] in {"Deployment", "Job"}:
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def test_the_chart_is_clean() -> None:
    linted = run((helm(), "lint", CHART, "--strict", "--values", CHECKED))
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("option", "complains_of"),
    [
        ("redis.botUrl=redis://user:password@redis:6379/0", "botUrl"),
        ("publicUrl=usher.example.com", "publicUrl"),
        ("installation=Usher_1", "installation"),
        ("manager.roles={dispatch}", "roles"),
        ("manager.replica=3", "replica"),
        ("networkPolicy.redis.peers=null", "peers"),
        ("transcription.enabled=false", "transcription.url"),
    ],
)
def test_a_wrong_value_is_refused_by_name(option: str, complains_of: str) -> None:
    refused = render("--set", option)
    assert refused.returncode != 0
    assert complains_of in refused.stderr


def test_a_cluster_takes_all_of_it(kubectl: Sequence[str]) -> None:
    rendered = render()
    taken = run((*kubectl, "apply", "--server-side", "--dry-run=server", "-n", NAMESPACE, "-f", "-"), rendered.stdout)
    assert taken.returncode == 0, taken.stderr
    assert "networkpolicy.networking.k8s.io/usher-bots serverside-applied" in taken.stdout
    assert "would violate PodSecurity" not in taken.stderr


def test_nothing_runs_as_root_or_can_write_to_its_image() -> None:
    specs = dict(pod_specs(documents()))
    assert set(specs) == {"usher-manager", "usher-transcription", "usher-migrate"}
    for name, spec in specs.items():
        assert spec["securityContext"]["runAsNonRoot"], name
        for container in spec["containers"]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"], name
            assert not confined["allowPrivilegeEscalation"], name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name


def test_no_secret_is_written_out() -> None:
    for name, spec in pod_specs(documents()):
        for variable in (one for container in spec["containers"] for one in container["env"]):
            secret = any(word in variable["name"] for word in ("SECRET", "DSN", "TOKEN")) or (
                variable["name"] == "USHER_REDIS__URL"
            )
            assert secret == ("valueFrom" in variable), (name, variable["name"])


def test_the_launcher_may_do_what_it_does_and_read_no_secret() -> None:
    (role,) = (document for document in documents() if document["kind"] == "Role")
    rights = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert rights == {
        "pods": {"get", "list", "watch", "create", "patch", "delete"},
        "pods/log": {"get"},
        "secrets": {"create"},
        "leases": {"get", "list", "create", "delete"},
    }


def test_a_cluster_grants_the_accounts_just_that(kubectl: Sequence[str]) -> None:
    made = run((*kubectl, "apply", "-n", NAMESPACE, "-f", "-"), render("--show-only", "templates/access.yaml").stdout)
    assert made.returncode == 0, made.stderr

    def may(account: str, *what: str) -> bool:
        who = f"system:serviceaccount:{NAMESPACE}:usher-{account}"
        return run((*kubectl, "auth", "can-i", *what, "--as", who, "-n", NAMESPACE)).stdout.strip() == "yes"

    assert may("manager", "create", "pods")
    assert may("manager", "get", "pods", "--subresource=log")
    assert not may("manager", "get", "secrets")
    assert not may("manager", "create", "pods", "--subresource=exec")
    assert not may("manager", "list", "nodes")
    assert not may("bot", "get", "pods")


def test_bots_reach_nothing_inside_but_what_they_need() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in documents() if d["kind"] == "NetworkPolicy"}
    bots = policies["usher-bots"]
    assert bots["podSelector"]["matchLabels"] == {"usher.kind": "bot", "usher.installation": "usher"}
    assert set(bots["policyTypes"]) == {"Ingress", "Egress"}
    assert not bots.get("ingress")
    outside = [peer["ipBlock"] for rule in bots["egress"] for peer in rule["to"] if "ipBlock" in peer]
    (world,) = (block for block in outside if block["cidr"] == "0.0.0.0/0")
    assert {"169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(world["except"])
    ports = {port["port"] for rule in bots["egress"] for port in rule.get("ports", ())}
    assert ports == {53, "bots", "speech", 6379}


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Sequence[str]]:
    """Yield a kubectl that speaks to the cluster of the tests, with a namespace for the chart."""
    needs_engine("kubernetes")
    command = ("kubectl", "--kubeconfig", str(engine_home("kubernetes") / "kubeconfig"))
    try:
        made = run((*command, "create", "namespace", NAMESPACE))
    except FileNotFoundError:
        pytest.skip("kubectl is not installed")
    assert made.returncode == 0 or "AlreadyExists" in made.stderr, made.stderr
    # The strictest standard: the server warns of every pod that does not keep to it.
    strict = run(
        (*command, "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/warn=restricted", "--overwrite")
    )
    assert strict.returncode == 0, strict.stderr
    yield command
    run((*command, "delete", "namespace", NAMESPACE, "--wait=false"))
