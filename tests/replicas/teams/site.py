"""Teams' addresses, as far as a guest in a browser comes past them."""

from collections.abc import Mapping
from urllib.parse import urlencode

from tests.replicas.site import Answer, Site

MEETING_ID = "9387167464734"
_PASSCODE = "qxJ7gQXdZbAxFPTF9b"
_GUESTS = frozenset({"teams.live.com", "teams.microsoft.com"})
_SIGN_IN = frozenset({"login.microsoftonline.com", "login.live.com"})
_LAUNCHER = "/dl/launcher/launcher.html"
_CLIENT = ("/light-meetings/launch", "/v2/")


def meeting_url(host: str = "teams.live.com") -> str:
    """Return the address of the meeting at a host; `teams.microsoft.com` has the build without speaking signs."""
    return f"https://{host}/meet/{MEETING_ID}?p={_PASSCODE}"


def _open(host: str, path: str, query: Mapping[str, str]) -> Answer:
    """Answer an address: invitations lead to the launcher, which would rather open the app."""
    if host in _SIGN_IN:
        return Answer(file="login.html")
    if path.startswith(("/meet/", "/l/meetup-join/")):
        inner = f"/_#{path}?{urlencode({**query, 'anon': 'true'})}"
        launch = {"url": inner, "type": "meet", "directDl": "true", "msLaunch": "true", "suppressPrompt": "true"}
        return Answer(redirect=f"{_LAUNCHER}?{urlencode(launch)}")
    if path == _LAUNCHER:
        return Answer(file="launcher.html")
    return Answer(file="client.html") if host in _GUESTS and path in _CLIENT else Answer(status=404)


SITE = Site(
    hosts=(*sorted(_GUESTS), *sorted(_SIGN_IN)),
    open=_open,
    url=meeting_url(),
    sound="mixed",
    gate="continue_in_browser",
    dialogs_before=("notifications",),
    dialogs_inside=("recorded", "got_it"),
)
