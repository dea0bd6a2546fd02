"""Zoom's addresses, as far as a guest in a browser comes past them."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.replicas.site import Answer, Site

MEETING_ID = "82345678901"
_PWD = "a1B2c3D4e5F6.1"
_LAUNCHER = "us05web.zoom.us"
_CLIENT = "app.zoom.us"

_LAUNCH = re.compile(r"/[jsw]/(\d{9,11})")
_JOIN = re.compile(r"/wc/(\d{9,11})/(?:join|start)")
_OLD_JOIN = re.compile(r"/wc/join/(\d{9,11})")


def client_url(*, pwd: str = _PWD, **query: str) -> str:
    """Return the web client's own address of the meeting; without `fromPWA` the client is the page itself."""
    return f"https://{_CLIENT}/wc/{MEETING_ID}/join?{urlencode({**({'pwd': pwd} if pwd else {}), **query})}"


def _open(host: str, path: str, query: Mapping[str, str]) -> Answer:
    """Answer an address: the launcher leads to a shell around the client, which may stand alone as well."""
    asked = urlencode(query)
    if _LAUNCH.fullmatch(path):
        return (
            Answer(redirect=f"https://{_LAUNCHER}{path}?{asked}") if host == "zoom.us" else Answer(file="launch.html")
        )
    if old := _OLD_JOIN.fullmatch(path):
        return Answer(redirect=f"https://{_CLIENT}/wc/{old[1]}/join?{urlencode({**query, 'fromPWA': '1'})}")
    if _JOIN.fullmatch(path):
        if host != _CLIENT:
            return Answer(redirect=f"https://{_CLIENT}{path}?{asked}")
        return Answer(file="shell.html" if query.get("fromPWA") == "1" else "client.html")
    return Answer(file="home.html") if path.rstrip("/") in {"/wc", "/wc/home"} else Answer(status=404)


SITE = Site(
    hosts=("zoom.us", "*.zoom.us"),
    open=_open,
    url=f"https://{_LAUNCHER}/j/{MEETING_ID}?pwd={_PWD}",
    sound="mixed",
    gate="continue_in_browser",
    dialogs_before=("disclaimer", "no_camera"),
    dialogs_inside=("recorded", "no_camera", "no_microphone", "unmute"),
)
