"""The contracts of `.importlinter` find a planted import, in a copy of the package tree."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PLANTED = [
    ("layers", "app/planted.py", "import usher.api"),
    ("layers", "domain/planted.py", "import usher.protocol.commands"),
    ("adapters", "adapters/postgres/planted.py", "import usher.app.transitions"),
    ("apart", "bot/planted.py", "from usher.ports import Launcher"),
    ("apart", "transcription/planted.py", "import usher.app.transitions"),
    ("apart", "room/planted.py", "import usher.adapters.redis"),
    ("demo", "demo/planted.py", "import usher.api.app"),
    ("settings", "api/planted.py", "from usher.settings import Settings"),
    ("telemetry", "telemetry.py", "import usher.domain.errors"),
    ("launchers", "adapters/launchers/docker/host.py", "import usher.adapters.launchers.process"),
    ("pure", "domain/planted.py", "import asyncio"),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `src/usher` that tests may plant in, as long as they tidy up."""
    root = tmp_path_factory.mktemp("tree")
    shutil.copytree(REPOSITORY / "src/usher", root / "usher", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def broken_contracts(root: Path) -> set[str]:
    """Lint the package under `root` and return the ids of the contracts that it breaks."""
    names = _names()
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    linted = subprocess.run(  # noqa: S603 our own interpreter on our own configuration
        [sys.executable, "-c", program, "--config", str(REPOSITORY / ".importlinter"), "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    verdicts = [line for line in linted.stdout.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert len(verdicts) == len(names), linted.stdout + linted.stderr
    broken = {line.removesuffix(" BROKEN") for line in verdicts if line.endswith(" BROKEN")}
    assert linted.returncode == (1 if broken else 0)
    return {names[name] for name in broken}


def test_the_tree_keeps_every_contract(copied: Path) -> None:
    assert broken_contracts(copied) == set()


@pytest.mark.parametrize(("contract", "module", "statement"), PLANTED)
def test_a_planted_import_breaks_its_contract(copied: Path, contract: str, module: str, statement: str) -> None:
    path = copied / "usher" / module
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()  # a package may be absent; `tools.house` sees to it that none is half there
    path.write_text(f"{before or ''}\n{statement}\n")
    try:
        assert contract in broken_contracts(copied)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)


def test_every_contract_has_a_planted_import() -> None:
    assert {contract for contract, *_ in PLANTED} == set(_names().values())


def _names() -> dict[str, str]:
    """Return the ids of the contracts by their names."""
    names, contract = {}, ""
    for line in (REPOSITORY / ".importlinter").read_text().splitlines():
        if line.startswith("[importlinter:contract:"):
            contract = line.strip("[]").rpartition(":")[2]
        elif line.startswith("name = "):
            names[line.removeprefix("name = ")] = contract
    return names
