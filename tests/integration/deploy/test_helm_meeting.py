"""The chart in a real cluster, with our images: a meeting from the request to the transcript, and nothing left."""

import shutil

import pytest
from tests.support.engines import needs_engine
from tests.support.scripts import ROOT, run_script
from tests.support.usher_images import BUILD_S

_MEETING_S = 600

pytestmark = [pytest.mark.long, pytest.mark.timeout(BUILD_S + _MEETING_S + 150)]


def test_a_meeting_on_the_chart() -> None:
    needs_engine("docker")
    needs_engine("kubernetes")
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    said = run_script("/bin/sh", ROOT / "tools" / "deploy" / "check_helm.sh", timeout_s=BUILD_S + _MEETING_S)
    assert "meeting is completed" in said
    assert "no pod of a bot is left" in said
    assert "uninstalled" in said
