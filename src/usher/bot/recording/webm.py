"""The WebM container, written as a stream: a head, then clusters, each complete in itself.

Source: RFC 8794 (EBML), RFC 9559 (Matroska), the WebM container guidelines; for Opus the Matroska codec mappings:
`CodecDelay` is the encoder's look-ahead, `SeekPreRoll` 80 ms.
"""

import struct
from collections.abc import Sequence

from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.recording.opus import PACKET_MS
from usher.protocol.recordings import DURATION_PLACE

CLUSTER_PACKETS = 5000 // PACKET_MS
"""Packets of one cluster at most: five seconds. Within a cluster times have 16 bits."""

_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_TRACK = b"\x81"
_KEY_FRAME = b"\x80"
_NS_PER_MS = 1_000_000
_SEEK_PREROLL_NS = 80 * _NS_PER_MS
_OPUS_RATE = 48_000
_AUDIO = 2


def head(opus_head: bytes) -> bytes:
    """Return what comes before the first cluster; the segment's size stays open."""
    delay_ns = int.from_bytes(opus_head[10:12], "little") * 1_000_000_000 // _OPUS_RATE
    kind = (("4286", 1), ("42f7", 1), ("42f2", 4), ("42f3", 8), ("4282", b"webm"), ("4287", 4), ("4285", 2))
    audio = _element("b5", struct.pack(">d", SAMPLE_RATE)) + _element("9f", 1)
    track = b"".join(
        (
            *(_element(name, value) for name, value in (("d7", 1), ("73c5", 1), ("83", _AUDIO), ("86", b"A_OPUS"))),
            _element("63a2", opus_head),
            _element("56aa", delay_ns),
            _element("56bb", _SEEK_PREROLL_NS),
            _element("e1", audio),
        )
    )
    info = b"".join(
        (_element("2ad7b1", _NS_PER_MS), DURATION_PLACE, _element("4d80", b"Usher"), _element("5741", b"Usher"))
    )
    return b"".join(
        (
            _element("1a45dfa3", b"".join(_element(name, value) for name, value in kind)),
            bytes.fromhex("18538067") + _UNKNOWN_SIZE,
            _element("1549a966", info),
            _element("1654ae6b", _element("ae", track)),
        )
    )


def cluster(first: int, packets: Sequence[bytes]) -> bytes:
    """Return one cluster.

    Args:
        first: Number of the first packet since the start of the recording.
        packets: `CLUSTER_PACKETS` at most.
    """
    blocks = (
        _element("a3", _TRACK + (index * PACKET_MS).to_bytes(2, "big") + _KEY_FRAME + packet)
        for index, packet in enumerate(packets)
    )
    return _element("1f43b675", _element("e7", first * PACKET_MS) + b"".join(blocks))


def _element(name: str, value: int | bytes) -> bytes:
    """Return an element with an unsigned integer, or with bytes."""
    content = value if isinstance(value, bytes) else value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes.fromhex(name) + _size(len(content)) + content


def _size(number: int) -> bytes:
    """Return a size in as few bytes as hold it; all ones would mean that it is not known."""
    length = number.bit_length() // 7 + 1
    if number + 1 == 1 << (7 * length):
        length += 1
    return (number | 1 << (7 * length)).to_bytes(length, "big")
