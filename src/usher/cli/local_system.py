"""`usher up`: the whole system on this machine."""

import json

from usher.bootstrap.local import Local, open_local
from usher.cli.output import console
from usher.cli.services import run
from usher.domain.errors import Unavailable
from usher.settings import Settings


def up() -> None:
    """Run the whole system on this machine until a signal comes."""
    settings = Settings()

    async def work() -> None:
        async with open_local(settings, lambda step: console.print(f"[dim]starting[/dim] {step} …")) as local:
            _welcome(local)
            raise Unavailable(await local.broken)

    run(work(), settings)
    console.print("Everything has stopped.")


def _welcome(local: Local) -> None:
    body = json.dumps({"meeting_url": f"{local.url}/room/first"})
    console.print(f"\n[bold green]Usher is up[/bold green] at [bold]{local.url}[/bold]  (API described at /docs)")
    console.print(f"API key: {local.api_key}\n")
    console.print(f"Open a meeting in your browser: {local.url}/room/first")
    console.print("Send the first bot, and read what it hears:\n")
    header = f"-H 'X-API-Key: {local.api_key}'"
    console.print(f"  curl -s {local.url}/bots {header} -H 'Content-Type: application/json' -d '{body}'", markup=False)
    console.print(f"  curl -s {local.url}/transcripts/room/first {header}\n", markup=False)
    console.print("Ctrl-C stops everything.")
