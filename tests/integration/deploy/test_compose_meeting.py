"""Docker Compose with our images: a meeting from the request to the transcript, and nothing left."""

import pytest
from tests.support.engines import needs_engine
from tests.support.scripts import ROOT, run_script
from tests.support.usher_images import BUILD_S

_MEETING_S = 500


@pytest.mark.timeout(BUILD_S + _MEETING_S + 150)
def test_a_meeting_on_docker_compose() -> None:
    address = needs_engine("docker")
    script = ROOT / "tools" / "deploy" / "check_compose.sh"
    said = run_script("/bin/sh", script, timeout_s=BUILD_S + _MEETING_S, variables={"DOCKER_HOST": address})
    assert "meeting is completed" in said
    assert "no container of a bot is left" in said
