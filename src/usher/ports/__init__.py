"""Everything that the use cases ask of the outside, as protocols, with the values that cross them.

Adapters implement these; a contract suite in `tests/contract` holds every implementation of a port to the same
behaviour.
"""

from usher.ports.changes import (
    LANES,
    Backlog,
    Change,
    Claim,
    ClaimedEffect,
    Created,
    IdempotencyKey,
    Lane,
    NewMeeting,
    Owed,
    Seat,
    Void,
)
from usher.ports.channels import BotAccess, CommandChannel, Feed, Hints, SegmentStream, StreamEntry, Subscription
from usher.ports.launcher import Launcher, WorkloadSpec
from usher.ports.records import (
    EXPIRED,
    Beat,
    Configuration,
    HeardSegment,
    Json,
    Mark,
    Meeting,
    MeetingEvent,
    Page,
    Session,
    StoredCommand,
    User,
    Webhook,
)
from usher.ports.store import Commands, Leases, Meetings, Outbox, Store, Transcripts, Users, Webhooks
from usher.ports.webhooks import Delivered, Notice, Undelivered, WebhookSender

__all__ = [
    "EXPIRED",
    "LANES",
    "Backlog",
    "Beat",
    "BotAccess",
    "Change",
    "Claim",
    "ClaimedEffect",
    "CommandChannel",
    "Commands",
    "Configuration",
    "Created",
    "Delivered",
    "Feed",
    "HeardSegment",
    "Hints",
    "IdempotencyKey",
    "Json",
    "Lane",
    "Launcher",
    "Leases",
    "Mark",
    "Meeting",
    "MeetingEvent",
    "Meetings",
    "NewMeeting",
    "Notice",
    "Outbox",
    "Owed",
    "Page",
    "Seat",
    "SegmentStream",
    "Session",
    "Store",
    "StoredCommand",
    "StreamEntry",
    "Subscription",
    "Transcripts",
    "Undelivered",
    "User",
    "Users",
    "Void",
    "Webhook",
    "WebhookSender",
    "Webhooks",
    "WorkloadSpec",
]
