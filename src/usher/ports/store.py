"""The state of the system. Times are the store's own clock: nobody passes "now" in."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from usher.domain.meeting import Platform
from usher.domain.policy import Policy
from usher.domain.reconcile import Watched
from usher.domain.transcript import Segment
from usher.ports.audit import Actor, Audit
from usher.ports.changes import Backlog, Change, Claim, ClaimedEffect, Created, Lane, NewMeeting, Void
from usher.ports.endpoints import Deliveries, Endpoints
from usher.ports.recordings import Recordings
from usher.ports.records import (
    Acknowledgement,
    Beat,
    ChatMessage,
    CommandFate,
    Edition,
    Erasure,
    Exhibit,
    ExhibitContents,
    HeardSegment,
    Json,
    Mark,
    Meeting,
    MeetingEvent,
    Order,
    Page,
    Session,
    Share,
    StoredCommand,
    Unordered,
    User,
    Webhook,
)
from usher.ports.tokens import Tokens
from usher.ports.users import Users
from usher.protocol.chat import SeenLine
from usher.protocol.evidence import Evidence


class Meetings(Protocol):
    """Meetings and their history. `change` is the only writer of `meetings.status` after creation."""

    async def create(self, new: NewMeeting) -> Created:
        """Write meeting, first event, effects and seat in one transaction. Idempotent under one idempotency key.

        Raises:
            Conflict: `already_there` (a meeting of the same user, platform and native id is not over; the detail
                names its id).
            Invalid: `idempotency_key_reused` (same key, other body).
            LimitReached: `max_concurrent_bots`.
            NotFound: `unknown_user`.
        """
        ...

    async def change(self, change: Change) -> Meeting | Void:
        """Write one change in one transaction: row, event, command, effects, seat, completed claim; or nothing."""
        ...

    async def find(self, meeting_id: int) -> Meeting | None:
        """Return the meeting, whoever owns it."""
        ...

    async def find_by_connection(self, connection_id: str) -> Meeting | None:
        """Return the meeting that has or had this connection; compare `connection_id` to tell which."""
        ...

    async def find_latest(self, user_id: int, platform: Platform, native_id: str) -> Meeting | None:
        """Return the user's newest visit to that call."""
        ...

    async def list_of_user(self, user_id: int, page: Page) -> Sequence[Meeting]:
        """List a user's meetings, by when they were asked for, newest first."""
        ...

    async def list_of_all(self, page: Page) -> Sequence[Meeting]:
        """List everybody's meetings by their ids, the highest first."""
        ...

    async def events(self, meeting_id: int) -> Sequence[MeetingEvent]:
        """Return a meeting's history, oldest first."""
        ...

    async def attempt_of(self, connection_id: str) -> int | None:
        """Return the attempt that has or had this connection."""
        ...

    async def is_vacated(self, meeting_id: int) -> bool:
        """Say whether no earlier visit of the same user to the same call still has a workload to be ended."""
        ...

    async def watched(self, policy: Policy) -> Collection[Watched]:
        """Return every meeting that is not over, judged by the store's clock.

        A lease expires only while heartbeats are being taken (`Leases.attend`) and have been for a whole lease.
        """
        ...

    async def bots(self) -> Mapping[str, int]:
        """Return the meeting of each connection that may have a workload."""
        ...

    async def put_data(self, meeting_id: int, data: Json, *, keep: bool = False) -> Meeting | None:
        """Merge `data` into the meeting's data, key by key, in one statement. Idempotent.

        Args:
            meeting_id: Whose.
            data: What to put.
            keep: Leave keys as they are that are there already.

        Returns:
            The meeting as it is now; None if there is none, or its transcript was deleted.
        """
        ...


class Outbox(Protocol):
    """Effects that are owed. At least once: whoever runs one has to be idempotent."""

    async def claim(self, lane: Lane, *, limit: int, claim_s: float) -> Sequence[ClaimedEffect]:
        """Claim due effects whose meeting has no earlier due one in the lane, for the same webhook if it is one's.

        Claims never overlap in time.
        """
        ...

    async def complete(self, claim: Claim) -> bool:
        """Remove a claimed effect; False if the claim was lost meanwhile."""
        ...

    async def postpone(self, claim: Claim, *, delay_s: float, error: str) -> bool:
        """Give a claimed effect back, due after `delay_s`; False if the claim was lost."""
        ...

    async def renew(self, claims: Sequence[Claim], *, claim_s: float) -> frozenset[int]:
        """Hold claims for `claim_s` from now and return the effect ids of those that were not lost."""
        ...

    async def bury(self, claim: Claim, *, error: str) -> bool:
        """Keep a claimed effect for people to look at and never run it again; False if the claim was lost."""
        ...

    async def backlogs(self) -> Mapping[Lane, Backlog]:
        """Return what is due in each lane."""
        ...


class Commands(Protocol):
    """Commands, kept until their bot has acknowledged them."""

    async def pending(self, connection_id: str, *, after_seq: int) -> Sequence[StoredCommand]:
        """Return the unacknowledged commands of a bot with a number above `after_seq`, oldest first."""
        ...

    async def acknowledge(self, connection_id: str, said: Acknowledgement) -> StoredCommand | None:
        """Record what the bot did. Idempotent: the first outcome stays.

        Older ones that it makes void are `expired` with it: those of the same action, and all if it is a `leave`. A
        `chat` is never void.

        Returns:
            The command, or None if the bot was never sent such a one.
        """
        ...

    async def order(self, order: Order) -> StoredCommand | Unordered:
        """Write a command, and the effect that publishes it again, in one transaction; the meeting stays as it is.

        Only while the bot is in the meeting, and at most `MOST_PENDING` of its commands wait. Not idempotent.
        """
        ...

    async def fate(self, meeting_id: int, seq: int) -> CommandFate | None:
        """Return what became of a command."""
        ...


class Leases(Protocol):
    """Who has reported lately. The store's clock decides."""

    async def attend(self, *, silence_s: float) -> None:
        """Say that heartbeats are being taken. After more than `silence_s` without this, listening begins anew."""
        ...

    async def beat(self, connection_ids: Sequence[str], *, lease_s: float) -> Mapping[str, Beat]:
        """Renew (or begin) the leases of many bots in one statement; unknown ids are absent from the answer."""
        ...


class Transcripts(Protocol):
    """Sessions and segments: one row per (meeting, segment id), the newest revision wins."""

    async def save(self, sessions: Sequence[Session], heard: Sequence[HeardSegment]) -> Mapping[int, int]:
        """Upsert a batch in one transaction. Idempotent; an older revision changes nothing.

        Returns:
            Which of the meetings take text, each with the edition that its transcript has now (0 if the batch has no
            segment of it). Of the others, which are unknown or whose transcript was deleted, nothing is stored.
        """
        ...

    async def stored(self, marks: Sequence[Mark]) -> frozenset[Mark]:
        """Return those of the final segments that are committed, in this or a newer revision."""
        ...

    async def segments(self, meeting_id: int) -> Sequence[Segment]:
        """Return the segments of a meeting in the order in which they were said."""
        ...

    async def edition(self, meeting_id: int, *, after: int) -> Edition:
        """Return the newest edition of a transcript, with the segments that changed after edition `after`.

        A transcript's editions are numbered from 1, without gaps, one for each batch with segments of it; 0 is none,
        and what is older than editions. Whoever sees one sees all before it. After -1, everything has changed.
        """
        ...

    async def erase(self, meeting_id: int, *, by: Actor | None = None) -> Erasure:
        """Delete a transcript and all that tells what the meeting was about, in one transaction. Idempotent.

        Gone are segments, sessions, chat, commands, evidence, links, data but for totals, the call's id and URL, and
        every word of what failed. States, times and limits stay. From then on nothing is taken in for the meeting.
        It has to be over, and the end of its workload confirmed: `is_vacated` goes by the call's id. `by`: see `Audit`.
        """
        ...

    async def is_erased(self, meeting_id: int) -> bool:
        """Say whether the transcript of a meeting was deleted."""
        ...


class Exhibits(Protocol):
    """What bots saw when a step did not work. The newest `MOST_EXHIBITS` of a meeting are kept, as long as it is."""

    async def exhibit(self, connection_id: str, evidence: Evidence) -> bool:
        """Keep a piece of evidence; False if the connection is not the current attempt of a meeting that goes on.

        Not idempotent: whoever repeats it has two pieces.
        """
        ...

    async def exhibits(self, meeting_id: int) -> Sequence[Exhibit]:
        """List the evidence of a meeting, oldest first."""
        ...

    async def exhibit_contents(self, meeting_id: int, number: int) -> ExhibitContents | None:
        """Return what a piece of evidence shows."""
        ...


class Chats(Protocol):
    """What was written into meetings' chats. At most `usher.protocol.chat.MOST_LINES` of a meeting are kept."""

    async def save_chat(self, connection_id: str, lines: Sequence[SeenLine]) -> Sequence[ChatMessage] | None:
        """Keep those lines that are new, and return them; None if the connection is not a current attempt.

        Idempotent by the attempt and the line's id. What an earlier attempt has told with the same id, sender and text
        is not new either: the page showed it to both.
        """
        ...

    async def chat(self, meeting_id: int) -> Sequence[ChatMessage]:
        """Return a meeting's chat, oldest first."""
        ...


class Shares(Protocol):
    """Links to transcripts, each good for a time by the store's clock. Tokens are kept as SHA-256."""

    async def add_share(self, meeting_id: int, token_sha256: bytes, *, good_s: float) -> Share | None:
        """Make a link that is good for so long.

        None if the meeting is unknown, its transcript deleted, or `MOST_SHARES` links to it are good.
        """
        ...

    async def find_shared(self, token_sha256: bytes) -> Meeting | None:
        """Return the meeting that a token opens, while it is good."""
        ...

    async def shares(self, meeting_id: int) -> Sequence[Share]:
        """List the links to a transcript that are good, oldest first."""
        ...

    async def end_share(self, meeting_id: int, share_id: int) -> bool:
        """Take back a link; False if the meeting has none with that id."""
        ...


class Tickets(Protocol):
    """What opens one live connection each, for a moment by the store's clock. They are kept as SHA-256."""

    async def add_ticket(self, user_id: int, token_sha256: bytes, *, good_s: float) -> datetime | None:
        """Make a ticket that is good for so long, and return until when.

        None if the user is unknown, or `MOST_TICKETS` of theirs are good.
        """
        ...

    async def take_ticket(self, token_sha256: bytes) -> User | None:
        """Use a ticket up and return whose it is; None if it is not good. Of several calls at once, one has it."""
        ...


class Webhooks(Protocol):
    """The one webhook of a user that is set without an id; one of their `Endpoints`, told of changes of the status."""

    async def put_webhook(self, user_id: int, webhook: Webhook | None) -> None:
        """Set the user's webhook and enable it, or take it away. Idempotent.

        Raises:
            NotFound: `unknown_user`.
        """
        ...

    async def find_webhook(self, user_id: int) -> Webhook | None:
        """Return the user's webhook, if it is enabled."""
        ...


class Store(
    Meetings,
    Outbox,
    Commands,
    Leases,
    Transcripts,
    Exhibits,
    Chats,
    Recordings,
    Shares,
    Tickets,
    Users,
    Tokens,
    Audit,
    Webhooks,
    Endpoints,
    Deliveries,
    Protocol,
):
    """All of the state. The PostgreSQL adapter and the in-memory one pass the same contract suite."""

    async def prune(self, *, older_than_s: float, limit: int) -> int:
        """Delete what nobody will ask for again, `limit` rows of a kind at most, and return how many rows that were.

        These are idempotency keys, connections and outcomes of commands of meetings that ended, and buried effects,
        all older than `older_than_s`; messages to webhooks that were
        last tried before that; links to transcripts that were over before that; and what a manager of a version
        that does not know of deletion stored of a deleted transcript. Idempotent.
        """
        ...

    async def ping(self, *, timeout_s: float) -> None:
        """Return if the store answers.

        Raises:
            Unavailable: It does not.
        """
        ...
