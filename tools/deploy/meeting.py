"""Plays the meeting of the demo against a deployed Usher, from outside: a user, guests, a bot, and its transcript.

    USHER_ADMIN_TOKEN=… python -m tools.deploy.meeting http://127.0.0.1:8056

Exit code 0 only if every state was reached, both speakers are known by name, and the words are right enough, each under
the name of who said them. The guests' browsers run here, so the address has to be one at which browsers allow
microphones: of this machine, or https.
"""

import argparse
import asyncio
import os
import secrets
import sys
import time
from pathlib import Path

import httpx

from usher.adapters.embedded.chromium import find_chromium
from usher.demo.visit import Demo, Show, Visit
from usher.domain.errors import UsherError

MOST_WORD_ERRORS = 0.15
"""A model that is short of time gets a word wrong here and there. A single line under a wrong name is 0.19 or more.

`usher demo` asks as well that the times of each segment are those of its speaker's line, which a busy machine blurs.
"""

_CALL_S = 10.0
_PLAY_S = 240.0


def main() -> int:
    """Play it and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.deploy.meeting", description="Play a meeting.")
    parser.add_argument("url", help="base URL of the API, as the deployment's public URL says")
    parser.add_argument("--chromium", type=Path, help="the guests' browser; default: the first one found")
    arguments = parser.parse_args()
    url = arguments.url.rstrip("/")
    try:
        key = _make_user(url, os.environ["USHER_ADMIN_TOKEN"])
        visit = asyncio.run(_play(url, key, find_chromium(arguments.chromium).path))
    except (UsherError, httpx.HTTPError, TimeoutError) as error:
        print(f"meeting: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    _report(visit)
    understood = visit.score.word_error_rate <= MOST_WORD_ERRORS and not visit.wrong_speakers
    return 0 if understood and not visit.missing_states else 1


def _make_user(url: str, admin_token: str) -> str:
    """Make a user with room for one bot, and return a key of theirs."""
    email = f"check-{secrets.token_hex(4)}@example.com"
    with httpx.Client(base_url=url, headers={"X-Admin-API-Key": admin_token}, timeout=_CALL_S) as admin:
        made = admin.post("/admin/users", json={"email": email, "max_concurrent_bots": 1}).raise_for_status()
        token = admin.post(f"/admin/users/{made.json()['id']}/tokens").raise_for_status()
    return str(token.json()["token"])


async def _play(url: str, key: str, chromium: Path) -> Visit:
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)

    show = Show(
        progress=tell,
        state=lambda frame: tell(f"meeting is {frame.payload.status}"),
        segment=lambda segment: tell(f"{segment.speaker}: {segment.text}") if segment.completed else None,
    )
    demo = Demo(url, key, chromium=chromium, sandbox=os.geteuid() != 0, show=show)
    async with asyncio.timeout(_PLAY_S):
        return await demo.perform()


def _report(visit: Visit) -> None:
    print(f"request to in-the-meeting: {visit.to_meeting_s:.1f} s")
    print(f"word error rate: {visit.score.word_error_rate:.3f} (at most {MOST_WORD_ERRORS})")
    print(f"segments at the time of another's line: {visit.score.misattributed}")
    if visit.wrong_speakers:
        print(f"not named, or nobody of this name: {', '.join(sorted(visit.wrong_speakers))}")
    if visit.missing_states:
        print(f"states not reached: {', '.join(visit.missing_states)}")


if __name__ == "__main__":
    sys.exit(main())
