"""Python client of the Usher API."""

from usher.client.errors import ApiError
from usher.client.usher import Usher

__all__ = ["ApiError", "Usher"]
