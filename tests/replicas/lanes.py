"""Tracks to the bot's page, and whose packets go on which of them."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.rtp import RtpPacket
from tests.replicas.news import Sound
from tests.replicas.page import Send

MIX = "mix"
"""Whoever sends the sound of all people."""

_LOUD_DBOV = 50
_HELD_S = 0.5
_RATE_HZ = 48_000
_PACKET = 960
_LANES = 3
_ANSWER_S = 20.0


@dataclass
class Lane:
    """One track to the bot's page: numbers its packets anew, whoever they are of."""

    transceiver: RTCRtpTransceiver
    sequence: int = 0
    timestamp: int = 0
    sent_at: float = 0.0
    owner: str = ""
    offset: int = 0

    async def forward(self, packet: RtpPacket, owner: str, sources: Iterable[int], *, connected: bool) -> None:
        """Send a packet on; without a network it is lost on the way."""
        now = time.monotonic()
        switched = owner != self.owner
        if switched:
            packets = max(1, round((now - self.sent_at) * _RATE_HZ / _PACKET)) if self.sent_at else 1
            self.offset = self.timestamp + packets * _PACKET - packet.timestamp
            self.owner = owner
        self.sequence, self.timestamp = (self.sequence + 1) % 2**16, (packet.timestamp + self.offset) % 2**32
        self.sent_at = now
        sender = self.transceiver.sender
        transport = sender.transport
        opus = next((codec.payloadType for codec in self.transceiver._codecs), None)  # noqa: SLF001 - no public name
        if not connected or transport.state != "connected" or opus is None:
            return
        sent = RtpPacket(
            payload_type=opus,
            marker=int(switched),
            sequence_number=self.sequence,
            timestamp=self.timestamp,
            ssrc=sender._ssrc,  # noqa: SLF001 - no public name
            payload=packet.payload,
        )
        sent.csrc = list(sources)
        sent.extensions.audio_level = packet.extensions.audio_level
        sent.extensions.mid = self.transceiver.mid
        written = sent.serialize(transport._rtp_header_extensions_map)  # noqa: SLF001 - no public name
        with suppress(ConnectionError):
            await transport._send_rtp(written)  # noqa: SLF001 - senders of the library send what they encode


@dataclass
class Voice:
    """One person's packets, and what is known of them."""

    person_id: str
    source: int
    uplink: RTCPeerConnection
    lane: Lane | None = None
    began_at: float = 0.0
    loud_at: float = -10.0
    shown: bool = False

    def hears(self, packet: RtpPacket, now: float) -> None:
        """Note how loud it is."""
        level = packet.extensions.audio_level
        if level is not None and level[1] < _LOUD_DBOV:
            if now - self.loud_at > _HELD_S:
                self.began_at = now
            self.loud_at = now

    def is_loud(self, now: float) -> bool:
        """Say whether something was heard within the time that signs of speech are held."""
        return now - self.loud_at <= _HELD_S


class Downlink:
    """The peer connection to one page of the bot."""

    def __init__(self, form: Sound, send: Send) -> None:
        self._form = form
        self._send = send
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._lanes: list[Lane] = []
        self._of: dict[str, Lane] = {}
        self._next = 0
        self._negotiating = asyncio.Lock()
        self._answered: asyncio.Future[str] | None = None
        self._fresh = True

    async def arrange(self, voices: dict[str, Voice]) -> None:
        """Have the tracks that these people need, and offer them to the page if they are others than before."""
        async with self._negotiating:
            if self._add_lanes(voices):
                await self._offer()

    def lane(self, voice: Voice, now: float) -> Lane | None:
        """Return the track that a person's packet goes on now, if it goes on at all."""
        if self._form == "mixed":
            return self._lanes[0] if voice.person_id == MIX and self._lanes else None
        if self._form == "apart":
            return self._of.get(voice.person_id)
        if not voice.is_loud(now):
            if voice.lane is not None:
                voice.lane.owner, voice.lane = "", None
            return None
        if voice.lane is None:
            voice.lane = self._free_lane()
        return voice.lane

    async def take(self, sdp: str) -> None:
        """Take the page's answer."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(sdp)

    async def close(self) -> None:
        """End it."""
        if self._answered is not None:
            self._answered.cancel()
        await self._peer.close()

    def _free_lane(self) -> Lane | None:
        """Return the next track that nobody is on: whoever speaks gets another one each time."""
        order = self._lanes[self._next :] + self._lanes[: self._next]
        free = next((lane for lane in order if not lane.owner), None)
        if free is not None:
            self._next = (self._lanes.index(free) + 1) % _LANES
        return free

    def _add_lanes(self, voices: dict[str, Voice]) -> bool:
        if self._form != "apart":
            wanted = 1 if self._form == "mixed" else _LANES
            missing = wanted - len(self._lanes)
            self._lanes += [self._new_lane() for _ in range(missing)]
            return missing > 0
        gone, new = set(self._of) - set(voices), set(voices) - set(self._of)
        for person_id in gone:
            self._of.pop(person_id).transceiver.direction = "inactive"
        for person_id in new:
            self._of[person_id] = self._new_lane()
        return bool(gone or new)

    def _new_lane(self) -> Lane:
        return Lane(self._peer.addTransceiver("audio", direction="sendonly"))

    async def _offer(self) -> None:
        await self._peer.setLocalDescription(await self._peer.createOffer())
        self._answered = asyncio.get_running_loop().create_future()
        self._send({"type": "offer", "sdp": self._peer.localDescription.sdp, "fresh": self._fresh})
        self._fresh = False
        async with asyncio.timeout(_ANSWER_S):
            answer = await self._answered
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
