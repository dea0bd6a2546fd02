"""Where the parts of the system reach each other."""

from pydantic import SecretStr

from usher.domain.errors import Invalid
from usher.domain.meeting import Homes
from usher.settings import Settings


def public_url(settings: Settings) -> str:
    """Return how users reach the API, without trailing slash."""
    if settings.api.public_url:
        return settings.api.public_url.rstrip("/")
    host = "127.0.0.1" if settings.api.host in {"0.0.0.0", "::"} else settings.api.host  # noqa: S104 - it only names it
    return f"http://{host}:{settings.api.port}"


def homes(settings: Settings) -> Homes:
    """Return where this installation's own platforms are."""
    return Homes(room=f"{public_url(settings)}/room", janus=settings.bots.janus_url)


def bots_url(settings: Settings) -> str:
    """Return how bots reach the manager, without trailing slash."""
    if settings.bots.manager_url:
        return settings.bots.manager_url.rstrip("/")
    return f"http://{settings.bots.host}:{settings.bots.port}" if settings.bots.host else public_url(settings)


def required(value: SecretStr | None, variable: str) -> str:
    """Return a secret setting.

    Raises:
        Invalid: `missing_setting`: it is not set.
    """
    if value is None:
        raise Invalid("missing_setting", f"Set {variable}, or use `usher up`, which brings everything along.")
    return value.get_secret_value()
