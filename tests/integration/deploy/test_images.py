"""The images have the code of this tree, and keep to what an image may hold."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.docker_api import DockerApi
from tests.support.engines import needs_engine
from tests.support.scripts import ROOT, run_script
from tests.support.usher_images import BUILD_S, build_images

pytestmark = pytest.mark.timeout(BUILD_S + 60)

_TAG = "check-of-tests"
_SCRIPT = "tools/deploy/build_images.sh"
_CONTEXT = (
    *("src", "requirements", "deploy/docker", "pyproject.toml", "README.md", "LICENSE", ".dockerignore"),
    *(_SCRIPT, "tools/engines/base_images.sh"),
)
_DIGESTS = """
import hashlib, json, pathlib, usher
root = pathlib.Path(usher.__file__).parent
found = (path for path in sorted(root.rglob("*")) if path.is_file())
files = (path for path in found if "__pycache__" not in path.parts and path.suffix != ".md")
print(json.dumps({str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}))
"""


def in_image(address: str, name: str, *command: str) -> str:
    """Run a program in a new container without network."""
    confined = ("--rm", "--network", "none", "--read-only", "--entrypoint", command[0])
    arguments = ("docker", "--host", address, "run", *confined, f"usher-{name}", *command[1:])
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603 - our own image


@pytest.mark.parametrize("name", ["manager", "bot", "transcription"])
def test_an_image_has_the_code_of_this_tree(name: str) -> None:
    address = build_images(name)
    here = subprocess.run((sys.executable, "-c", _DIGESTS), capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - our own Python
    assert json.loads(in_image(address, f"{name}:latest", "python", "-c", _DIGESTS)) == json.loads(here.stdout)


@pytest.mark.parametrize("name", ["manager", "bot", "transcription"])
def test_an_image_runs_as_a_user_without_rights_and_holds_no_secret(name: str) -> None:
    api = DockerApi(build_images(name))
    config = api.get(f"images/usher-{name}:latest/json")["Config"]
    assert config["User"] == "1000:1000"
    assert not [variable for variable in config["Env"] if any(word in variable for word in ("SECRET", "TOKEN", "DSN"))]


def test_what_has_not_changed_is_not_built_again(tmp_path: Path) -> None:
    api = DockerApi(build_images("manager"))
    first = api.get("images/usher-manager:latest/json")["Id"]
    for path in _CONTEXT:  # the same files at another place and another time
        _copy(path, tmp_path)
    _build_elsewhere(tmp_path)
    second = api.get(f"images/usher-manager:{_TAG}/json")["Id"]
    api.delete(f"images/usher-manager:{_TAG}")
    assert second == first


def test_what_has_changed_is_built_again(tmp_path: Path) -> None:
    address = needs_engine("docker")
    for path in _CONTEXT:
        _copy(path, tmp_path)
    with (tmp_path / "src" / "usher" / "__init__.py").open("a") as code:
        code.write("\nCHANGED = True\n")
    _build_elsewhere(tmp_path)
    try:
        assert in_image(address, f"manager:{_TAG}", "python", "-c", "import usher; print(usher.CHANGED)") == "True\n"
    finally:
        DockerApi(address).delete(f"images/usher-manager:{_TAG}")


def _build_elsewhere(root: Path) -> None:
    run_script("/bin/sh", root / _SCRIPT, "manager", timeout_s=BUILD_S, variables={"USHER_IMAGE_TAG": _TAG})


def _copy(path: str, target: Path) -> None:
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
    copy(ROOT / path, target / path)
