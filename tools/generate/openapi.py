"""The OpenAPI document as a file that can be compared line by line."""

import json

from usher.api.app import openapi_document


def openapi_text() -> str:
    """Return the OpenAPI document as JSON with sorted keys."""
    return json.dumps(openapi_document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
