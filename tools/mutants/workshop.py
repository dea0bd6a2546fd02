"""A copy of the repository to plant bugs in, and an interpreter that sees the copy and not the original."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.mutants.mutant import Mutant

_COPIED = ("src", "tests", "tools", "bench", "docs", "requirements", "pyproject.toml", "README.md")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".hypothesis", "node_modules")

# Processes that tests start get an environment of their own, without PYTHONPATH; so the copy is in the interpreter
# itself. A compiled file is trusted by time and size, which a planted bug may leave as they were: none is written.
_PATH_FILE = """import sys; sys.dont_write_bytecode = True
{copy}/src
{packages}
"""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A copy that may be broken.

    Attributes:
        root: The copy of the repository.
        python: An interpreter that imports `usher` from the copy, and all else from where this one has it.
    """

    root: Path
    python: Path

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Have a bug in the copy for a while.

        Raises:
            NotPlantedError: The code has changed since the mutant was written.
        """
        source = self.root / mutant.source
        text = source.read_text()
        source.write_text(mutant.planted_in(text))
        try:
            yield
        finally:
            source.write_text(text)

    def run(self, arguments: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in the copy; whatever it started has ended when this returns.

        Raises:
            subprocess.TimeoutExpired: It took too long, and was killed.
        """
        command = [str(self.python), *arguments]
        with subprocess.Popen(  # noqa: S603 - our own interpreter
            command,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout_s)
            finally:
                _end(process.pid)
        return subprocess.CompletedProcess(command, process.returncode, output, "")


def _end(group: int) -> None:
    """Kill what is left of a process group."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextmanager
def workshop(repository: Path) -> Iterator[Workshop]:
    """Copy the repository, without what tools leave behind, and remove the copy in the end."""
    with TemporaryDirectory(prefix="usher-mutants-", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "usher"
        root.mkdir()
        for name in _COPIED:
            source = repository / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=_LEFT_OUT)
            elif source.exists():
                shutil.copy2(source, root / name)
        yield Workshop(root, _interpreter(Path(folder) / "venv", root))


def _interpreter(folder: Path, copy: Path) -> Path:
    """Make an environment that has all packages of this one but for Usher itself."""
    venv.create(folder, symlinks=True)
    packages = sysconfig.get_path("purelib")
    here = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    Path(here, "workshop.pth").write_text(_PATH_FILE.format(copy=copy, packages=packages))
    return folder / "bin" / Path(sys.executable).name
