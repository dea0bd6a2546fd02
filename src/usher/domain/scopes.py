"""What an API key may be used for."""

from enum import StrEnum


class Scope(StrEnum):
    """A part of the API that a key may be confined to. A key without scopes may do everything its owner may.

    Attributes:
        BOTS: Send, configure and stop bots, write into the chat, and see which bots are under way.
        READ: Read meetings, transcripts, chat, recordings and evidence, also live.
        WRITE: Describe, share and delete meetings and recordings.
        WEBHOOKS: Say where to be told of changes.
    """

    BOTS = "bots"
    READ = "transcripts:read"
    WRITE = "transcripts:write"
    WEBHOOKS = "webhooks"
