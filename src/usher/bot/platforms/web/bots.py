"""Names by which other bots are known: they are not people whom a bot stays for.

Source: names that the vendors' bots join under, as three open-source bots list them, August 2026.
"""

import re

_ALONE = ("fathom", "fireflies.ai", "meetgeek", "otter.ai", "read.ai", "sembly", "supernormal", "tl;dv", "tldv")
"""Whole names, which nobody is called by."""

_BRANDS = (
    *_ALONE,
    *("airgram", "attendee", "avoma", "chorus", "circleback", "fireflies", "gong", "grain", "krisp", "notta"),
    *("otter", "otterpilot", "read", "recall", "tactiq", "usher", "vexa"),
)
_KIND = r"(?:ai )?(?:assistant|bot|meeting notes|note ?taker|notes|recorder)"
_NAME = re.compile(
    rf"(?:.*['\u2019]s )?(?:{'|'.join(map(re.escape, _ALONE))})"
    rf"|(?:.*['\u2019]s )?(?:{'|'.join(map(re.escape, _BRANDS))}) {_KIND}"
    rf"|.*\b(?:ai notes|meeting bot|note ?taker|otterpilot)\b.*",
    re.IGNORECASE,
)


def is_bot_name(name: str) -> bool:
    """Say whether a participant's name is that of a bot, as far as names tell; in doubt it is a person."""
    plain = re.sub(r" \([^)]*\)$", "", " ".join(name.split()))
    return _NAME.fullmatch(plain) is not None
