"""How the command line finds the API: settings first, else the `usher up` that runs here."""

import json

from usher.client import Usher
from usher.domain.errors import Invalid
from usher.domain.meeting import Homes, Platform, meeting_from_url, parse_platform
from usher.settings import Settings


def open_client() -> Usher:
    """Return a client of the API.

    Raises:
        Invalid: `no_api`: nothing says where it is.
    """
    url, key = _where(Settings())
    return Usher(url, key)


def name_of(meeting: str, client_settings: Settings) -> tuple[Platform, str]:
    """Read what a user calls a meeting: its URL, or `platform/id`.

    Raises:
        Invalid: It is neither.
    """
    url, _ = _where(client_settings)
    if "://" in meeting:
        ref = meeting_from_url(meeting, homes=Homes(f"{url}/room"))
        return ref.platform, ref.native_id
    platform, slash, native_id = meeting.partition("/")
    if not slash:
        raise Invalid("bad_meeting", f"{meeting!r} is neither a meeting URL nor platform/id, such as room/weekly-sync.")
    return parse_platform(platform), native_id


def _where(settings: Settings) -> tuple[str, str]:
    if settings.client.url and settings.client.api_key:
        return settings.client.url, settings.client.api_key.get_secret_value()
    path = settings.data_dir / "client.json"
    try:
        found = json.loads(path.read_text())
        return str(found["url"]), str(found["api_key"])
    except FileNotFoundError:
        raise Invalid(
            "no_api",
            f"No Usher runs here ({path} is not there). Start one with `usher up`, "
            "or set USHER_CLIENT__URL and USHER_CLIENT__API_KEY.",
        ) from None
