"""The log and the metrics: static event names with key-values, never customer content, never a secret."""

import logging
import sys
from functools import lru_cache

import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_WORDS = ("token", "password", "secret", "api_key", "authorization", "dsn", "url")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(level: str, style: str) -> None:
    """Set up logging for the process: `style` is `json` or `console`, to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    last: Processor = structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), stream=sys.stderr, format="%(name)s %(message)s")


def _hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if _names_secret(key):
            event[key] = "***"
    return event


@lru_cache(maxsize=1024)
def _names_secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_WORDS)


TRANSITIONS = Counter("usher_transitions", "Events that moved a meeting.", ["event", "to_state"])
NOT_APPLIED = Counter(
    "usher_events_not_applied",
    "Events that moved nothing: old news is ignored, a contradiction refused.",
    ["event", "state", "verdict"],
)
FINDINGS = Counter("usher_reconciler_findings", "What the reconciler reported, lease expiries included.", ["event"])
ORPHANS = Counter("usher_orphans_removed", "Workloads that nobody asked for any more.")
RECONCILE_SECONDS = Histogram(
    "usher_reconcile_seconds", "Duration of one pass of the reconciler.", buckets=(0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
)
OUTBOX_DEPTH = Gauge("usher_outbox_depth", "Effects that are due and not done.", ["lane"])
OUTBOX_AGE = Gauge("usher_outbox_oldest_seconds", "For how long the oldest effect has been due.", ["lane"])
ACCOUNTS = Counter("usher_bot_accounts_corrected", "Accounts of bots at Redis that were missing or left over.", ["how"])
LAST_WORDS = Counter("usher_last_words", "Documents that bots left behind, by what became of them.", ["result"])
EFFECTS = Counter("usher_effects", "Effects run, by what became of them.", ["effect", "result"])
SEGMENT_ENTRIES = Counter("usher_segment_entries", "Entries of the segment stream.", ["result"])
LIVE_VIEWERS = Gauge("usher_live_viewers", "Open live WebSockets and event streams.")
