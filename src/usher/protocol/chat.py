"""What a bot reads in the meeting's chat: `POST /internal/bots/{connection_id}/chat`."""

from pydantic import BaseModel, ConfigDict, Field

MOST_LINES = 5000
"""How many lines of one meeting are kept."""

MOST_CHARACTERS = 4000
"""Of one line; the rest of a longer one is cut off."""

MOST_LINES_AT_ONCE = 100


class SeenLine(BaseModel):
    """One message of the chat. The same `line_id` from the same attempt is the same line, and is kept once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    line_id: str = Field(min_length=1, max_length=200, description="The page's id of the line.")
    sender: str = Field(default="", max_length=255, description="Name as shown; empty where the page does not tell.")
    text: str = Field(max_length=MOST_CHARACTERS)
    is_self: bool = Field(default=False, description="The bot wrote it.")
    ago_s: float = Field(
        ge=0, le=30 * 24 * 3600.0, description="Seconds between the first sight of it and this report."
    )


class SeenLines(BaseModel):
    """Lines that were not told before, oldest first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lines: list[SeenLine] = Field(min_length=1, max_length=MOST_LINES_AT_ONCE)
