"""Installs the speech model into the directory given, while the image of the speech service is built."""

import asyncio
import sys
from pathlib import Path

from usher.adapters.embedded.model_install import install_model

_LOCK = Path(__file__).with_name("model.lock")

if __name__ == "__main__":
    asyncio.run(install_model(Path(sys.argv[1]), print, lock=_LOCK))
