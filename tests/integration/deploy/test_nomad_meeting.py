"""The jobs of `deploy/nomad` on a real Nomad, with our images: a meeting from the request to the transcript."""

import os

import pytest
from tests.support.engines import needs_engine
from tests.support.scripts import ROOT, run_script
from tests.support.usher_images import BUILD_S

_MEETING_S = 500

pytestmark = [pytest.mark.long, pytest.mark.timeout(BUILD_S + _MEETING_S + 150)]


def test_a_meeting_on_the_jobs_of_nomad() -> None:
    needs_engine("docker")
    needs_engine("nomad")
    if os.geteuid() != 0:
        pytest.skip("only root can start a Nomad")
    said = run_script("/bin/sh", ROOT / "tools" / "deploy" / "check_nomad.sh", timeout_s=BUILD_S + _MEETING_S)
    assert "meeting is completed" in said
    assert "no job of a bot is left" in said
