"""Addresses of the replica of Google Meet.

Written from other bots' sources as of August 2026, not from the knowledge that the bot has.
"""

import re
from collections.abc import Mapping

from tests.replicas.site import Answer, Site

_CODE = re.compile(r"/([a-z]{3})-?([a-z]{4})-?([a-z]{3})/?")
_SYNC = "/$rpc/google.rtc.meetings.v1.MeetingSpaceService/SyncMeetingSpaceCollections"


def _open(host: str, path: str, query: Mapping[str, str]) -> Answer:
    if host == "accounts.google.com":
        return Answer(file="sign_in.html")
    if host == "www.google.com":
        return Answer(file="captcha.html") if path.startswith("/recaptcha/") else Answer(status=404)
    if path == _SYNC:
        # The real server knows who is there; this one is told by the page that asks.
        return Answer(text=query.get("told", "")) if query.get("told") else Answer(status=204)
    code = _CODE.fullmatch(path)
    if code is None:
        return Answer(status=404)
    plain = "/" + "-".join(code.groups())
    return Answer(file="page.html") if path == plain else Answer(redirect=plain)


SITE = Site(
    hosts=("meet.google.com", "accounts.google.com", "www.google.com"),
    open=_open,
    url="https://meet.google.com/abc-defg-hij",
    sound="shared",
    gate="continue_without_devices",
    dialogs_before=("use_without_account", "microphone_not_found"),
    dialogs_inside=("recorded", "got_it", "gemini", "camera_not_found"),
)
