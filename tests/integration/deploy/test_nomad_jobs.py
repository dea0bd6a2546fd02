"""The jobs for Nomad: a real server takes them, and no secret is in them."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.engines import engine_home, needs_engine

JOBS = Path(__file__).parents[3] / "deploy" / "nomad"
VARIABLES = {
    "usher": (
        "public_url=https://usher.example.com",
        "bots_url=http://10.0.0.5:8057",
        "redis_bot_url=redis://r:6379/0",
    ),
    "migrate": (),
    "stores": (),
}


def nomad(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the real nomad against the real server; skip without them."""
    address = needs_engine("nomad")
    home = engine_home("nomad")
    binary = max(home.glob("nomad-*"), key=lambda path: path.stat().st_mtime)
    variables = {**os.environ, "NOMAD_ADDR": address, "NOMAD_TOKEN": (home / "token").read_text().strip()}
    return subprocess.run(  # noqa: S603 - the engine of the tests
        (binary, *arguments), env=variables, capture_output=True, text=True, timeout=60, check=False
    )


def set_variables(job: str) -> Sequence[str]:
    return [f"-var={variable}" for variable in VARIABLES[job]]


@pytest.mark.parametrize("job", VARIABLES)
def test_a_job_is_valid(job: str) -> None:
    validated = nomad("job", "validate", *set_variables(job), JOBS / f"{job}.nomad.hcl")
    assert validated.returncode == 0, validated.stdout + validated.stderr
    assert "Job validation successful" in validated.stdout


@pytest.mark.parametrize("job", VARIABLES)
def test_the_scheduler_understands_a_job(job: str) -> None:
    planned = nomad("job", "plan", *set_variables(job), JOBS / f"{job}.nomad.hcl")
    assert planned.returncode == 1, planned.stdout + planned.stderr  # 1: allocations would be made
    assert "forces create" in planned.stdout


def test_addresses_that_nobody_can_guess_have_to_be_said() -> None:
    refused = nomad("job", "validate", JOBS / "usher.nomad.hcl")
    assert refused.returncode != 0
    for variable in ("public_url", "bots_url", "redis_bot_url"):
        assert variable in refused.stdout + refused.stderr


@pytest.mark.parametrize("job", VARIABLES)
def test_secrets_come_from_nomad_variables_alone(job: str) -> None:
    text = (JOBS / f"{job}.nomad.hcl").read_text()
    secret = r"(?:USHER_DATABASE__DSN|USHER_REDIS__URL|USHER_SECRET|ADMIN_TOKEN|NOMAD__TOKEN|PASSWORD|requirepass)"
    uses = re.findall(rf"\b\w*{secret}\s*=?\s*(.*)", text)
    assert uses
    assert all(".Value" in use for use in uses), uses
