"""Images for the tests' cluster, made of what this machine has: a pause container, and Python without anything else.

    python tools/engines/kubernetes/images.py PAUSE_PROGRAM OUTPUT.tar

Writes an archive that `ctr images import` takes.
"""

import hashlib
import io
import json
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PAUSE, PYTHON = "usher.test/pause:1", "usher.test/python:1"

_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|ensurepip|lib2to3|tkinter|turtledemo|site-packages|__pycache__|config-.*)(/|$)"
)
_LIBRARY = re.compile(r"(/\S+) \(0x")


def main() -> None:
    """Make both images."""
    pause, output = Path(sys.argv[1]), Path(sys.argv[2])
    with tarfile.open(output, "w") as archive:
        images = [
            _add_image(archive, PAUSE, {"/pause": pause}, ["/pause"]),
            _add_image(archive, PYTHON, _python(), ["/usr/local/bin/python3"]),
        ]
        _add(archive, "manifest.json", json.dumps(images).encode())


def _python() -> Mapping[str, Path]:
    """Return where in the image the files of a Python go; libraries go where the loader looks by itself."""
    program = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    files = {"/usr/local/bin/python3": program}
    for path in library.rglob("*"):
        if path.is_file() and not _LEFT_OUT.search(str(path)):
            files[f"/usr/local/lib/{library.name}/{path.relative_to(library)}"] = path
    said = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout  # noqa: S603, S607  the path is our own interpreter
    for found in map(Path, _LIBRARY.findall(said)):
        place = "/lib64" if found.name.startswith("ld-") else "/lib/x86_64-linux-gnu"
        files[f"{place}/{found.name}"] = found
    return files


def _add_image(
    archive: tarfile.TarFile, name: str, files: Mapping[str, Path], entrypoint: Sequence[str]
) -> Mapping[str, object]:
    layer = _layer(files)
    digest = hashlib.sha256(layer).hexdigest()
    configuration = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    described = f"{hashlib.sha256(configuration).hexdigest()}.json"
    _add(archive, f"{digest}/layer.tar", layer)
    _add(archive, described, configuration)
    return {"Config": described, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}


def _layer(files: Mapping[str, Path]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as layer:
        for directory in ("tmp", "home/bot", "dev/shm"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            layer.addfile(entry)
        for place, path in sorted(files.items()):
            entry = tarfile.TarInfo(place.lstrip("/"))
            entry.mode = 0o755
            content = path.resolve().read_bytes()
            entry.size = len(content)
            layer.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
