"""The header `Range` of a download.

Source: RFC 9110, section 14: what is not understood is ignored, and so are several ranges at once, which a server may.
"""

import re

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return first and last byte plus one of the part that is asked for; None for all of it.

    Raises:
        ValueError: There is no such part.
    """
    found = _ONE_RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        begin, end = max(0, size - int(found[2])), size
    else:
        begin, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < begin:
            return None
    if begin >= end:
        raise ValueError("no such part")
    return begin, end
