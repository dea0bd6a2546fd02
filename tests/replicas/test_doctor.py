"""`usher doctor --platform X` goes into the replica and names each step."""

import asyncio
import os
import sys

import pytest

pytestmark = pytest.mark.timeout(180)

_STEPS = {
    "google_meet": ["give_name", "microphone_off", "camera_off", "ask_to_join"],
    "teams": ["give_name", "microphone_off", "camera_off", "ask_to_join"],
    "zoom": ["give_name", "microphone_off", "camera_off", "ask_to_join"],
}


async def _doctor(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "usher.cli.main", "doctor", *arguments),
        env={**os.environ, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    return await process.wait(), said.decode()


@pytest.mark.parametrize("platform", _STEPS)
async def test_every_step_holds_in_the_replica(platform: str) -> None:
    code, said = await _doctor("--platform", platform)
    assert code == 0, said
    found = {line.split()[1]: line for line in said.splitlines() if line.startswith(("ok", "no"))}
    assert all(found[step].startswith("ok") for step in ["open_page", *_STEPS[platform], "admission", "leave"]), said
    assert "Ann, Bob" in found["people"]


async def test_what_is_no_meeting_of_the_platform_is_told() -> None:
    code, said = await _doctor("--platform", "zoom", "--url", "https://meet.google.com/abc-defg-hij")
    assert (code, "google_meet" in said) == (1, True)
    code, said = await _doctor("--platform", "janus")
    assert (code, "--url" in said) == (1, True)
