"""The tests' cluster as its administrator sees it, and a manager's account in it that may do no more than it has to."""

import json
import ssl
import subprocess
from pathlib import Path

import httpx
from tests.support.engines import engine_address, engine_home

from usher.adapters.launchers.kubernetes.api import Document

NAMESPACE, BOT_ACCOUNT, MANAGER_ACCOUNT = "usher-test", "usher-bot", "usher-manager"
NODE = "usher-node"

# All that the launcher needs. It may read no secret and no configuration.
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "list", "delete"]},
]

_TIMEOUT_S = 20.0
_MERGE = "application/merge-patch+json"
_SCRIPT = Path(__file__).parents[2] / "tools" / "engines" / "kubernetes.sh"


class Cluster:
    """Speaks to the API server as administrator.

    Args:
        url: Where it answers.
    """

    def __init__(self, url: str) -> None:
        self.home = engine_home("kubernetes")
        self.keys = self.home / "keys"
        context = ssl.create_default_context(cafile=str(self.keys / "ca.crt"))
        context.load_cert_chain(self.keys / "admin.crt", self.keys / "admin.key")
        self._url = url
        self._client = httpx.Client(base_url=url, verify=context, timeout=_TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> Document | None:
        """Return an object, or None if it is not there."""
        answer = self._client.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _document(answer)

    def post(self, path: str, document: Document) -> Document | None:
        """Create an object; the one that is there already stays."""
        answer = self._client.post(path, json=document)
        return None if answer.status_code == httpx.codes.CONFLICT else _document(answer)

    def patch(self, path: str, change: Document) -> Document:
        answer = self._client.patch(path, content=json.dumps(change), headers={"Content-Type": _MERGE})
        return _document(answer)

    def delete(self, path: str, **options: int) -> None:
        answer = self._client.request("DELETE", path, json=options)
        if answer.status_code != httpx.codes.NOT_FOUND:
            _document(answer)

    def prepare(self) -> None:
        """Make the namespace, with the strictest rules for pods, and the accounts. Idempotent."""
        level = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": level}})
        for account in (BOT_ACCOUNT, MANAGER_ACCOUNT):
            self.post(namespaced("serviceaccounts"), {"metadata": {"name": account}})
        self.post(rbac("roles"), {"metadata": {"name": MANAGER_ACCOUNT}, "rules": RULES})
        self.patch(f"{rbac('roles')}/{MANAGER_ACCOUNT}", {"rules": RULES})
        binding = {
            "metadata": {"name": MANAGER_ACCOUNT},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": MANAGER_ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": MANAGER_ACCOUNT, "namespace": NAMESPACE}],
        }
        self.post(rbac("rolebindings"), binding)

    def write_kubeconfig(self, path: Path, url: str | None = None) -> None:
        """Write the file by which the manager's account reaches the API server.

        Args:
            path: Where to.
            url: A way to the API server that is not the straight one.
        """
        asked = {"spec": {"expirationSeconds": 7200}}
        made = self.post(f"{namespaced('serviceaccounts')}/{MANAGER_ACCOUNT}/token", asked)
        assert made is not None
        cluster = {"server": url or self._url, "certificate-authority": str(self.keys / "ca.crt")}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": made["status"]["token"]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(document))

    def process_id(self, program: str) -> int:
        """Return the process id of a part of the cluster."""
        return int((self.home / f"{program}.pid").read_text())

    def restart_api(self) -> None:
        """Start the API server again after it was killed; return when it answers."""
        subprocess.run(["/bin/sh", str(_SCRIPT), "restart-api"], check=True, timeout=120)  # noqa: S603 - our own

    def taints(self) -> list[Document]:
        """Return the taints of the node."""
        node = self.get(f"/api/v1/nodes/{NODE}")
        assert node is not None
        taints: list[Document] = node["spec"].get("taints", [])
        return taints

    def taint(self, taints: list[Document]) -> None:
        """Replace the taints of the node."""
        self.patch(f"/api/v1/nodes/{NODE}", {"spec": {"taints": taints}})

    def reads(self, path: str, kubeconfig: Path) -> bool:
        """Say whether an account may read what is at a path."""
        token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
        context = ssl.create_default_context(cafile=str(self.keys / "ca.crt"))
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self._url}{path}"
        return httpx.get(url, headers=headers, verify=context, timeout=_TIMEOUT_S, trust_env=False).is_success


def open_cluster() -> Cluster | None:
    """Return the cluster that `make engines` starts, made ready for tests; None if it does not answer."""
    url = engine_address("kubernetes")
    if url is None:
        return None
    cluster = Cluster(url)
    cluster.prepare()
    return cluster


def namespaced(kind: str, name: str | None = None) -> str:
    """Return the path of objects of the core API in the tests' namespace."""
    path = f"/api/v1/namespaces/{NAMESPACE}/{kind}"
    return path if name is None else f"{path}/{name}"


def rbac(kind: str) -> str:
    """Return the path of roles or their bindings in the tests' namespace."""
    return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/{kind}"


def _document(answer: httpx.Response) -> Document:
    if answer.is_error:
        raise AssertionError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
    document: Document = answer.json()
    return document
