"""What a bot saw when a step did not work: `POST /internal/bots/{connection_id}/evidence`."""

import base64
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

MOST_PIECES = 5
"""How many pieces one attempt shows."""

MOST_SCREENSHOT_BYTES = 400_000
MOST_TREE_BYTES = 100_000

MOST_BODY_BYTES = 1 << 20
"""A longer body is refused: the screenshot in base64, and the tree as JSON at its worst."""

_JPEG = b"\xff\xd8\xff"


def _decoded(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


_InBase64 = Annotated[
    bytes, BeforeValidator(_decoded), PlainSerializer(lambda value: base64.b64encode(value).decode(), when_used="json")
]


class Evidence(BaseModel):
    """One look at the page, without what was typed into it and without the parts of addresses that hold passcodes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: str = Field(min_length=1, max_length=100, description="Name of the step that did not work.")
    reason: str | None = Field(default=None, max_length=50, description="What the bot made of it; a word of `Reason`.")
    title: str = Field(default="", max_length=300, description="Title of the page.")
    address: str = Field(default="", max_length=500, description="Address without query and fragment.")
    screenshot: _InBase64 | None = Field(
        default=None, max_length=MOST_SCREENSHOT_BYTES, description="JPEG, in base64; null if there was none to be had."
    )
    tree: str = Field(
        default="", max_length=MOST_TREE_BYTES, description="The accessible tree as indented text (ARIA snapshot)."
    )

    @model_validator(mode="after")
    def _picture(self) -> Self:
        """Take nothing but a JPEG: users' browsers are going to show it."""
        if self.screenshot is not None and not self.screenshot.startswith(_JPEG):
            raise ValueError("The screenshot has to be a JPEG.")
        return self
