"""Brings people's sound to the bot's page as platforms do: it forwards their RTP packets without decoding them.

Browsers cannot write contributing sources into what they send, so people's packets go through here in every form.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from fastapi import WebSocket
from tests.replicas.lanes import MIX, Downlink, Voice
from tests.replicas.news import Sound
from tests.replicas.page import Send

_LATE_S = 0.25
_MOST_UNPLAYED = 25


def use_loopback_alone() -> None:
    """Let ICE know of no address but the loopback one: nothing of a test goes out, and it works without a network."""
    # Source: aioice 0.13, whose own list leaves the loopback interface out.
    ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # noqa: ARG005 - called by these names


class Relay:
    """Implements `Media`.

    Args:
        form: How sound comes to the page.
        show: Told of a person's id and of being shown as speaking: a little late, and held a little, as pages do.
    """

    def __init__(self, form: Sound, show: Callable[[str, bool], None]) -> None:
        use_loopback_alone()
        self.form: Sound = form
        self._show = show
        self._voices: dict[str, Voice] = {}
        self._downlink: Downlink | None = None
        self._connected = True
        self._players: set[asyncio.Queue[bytes]] = set()

    async def hear(self, person_id: str, source: int, offer: str) -> str:
        """Take a person's offer of their sound and return the answer; `MIX` is the sound of all."""
        uplink = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        voice = Voice(person_id, source, uplink)
        await uplink.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await uplink.setLocalDescription(await uplink.createAnswer())

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
            del arrival_time_ms
            await self._take(voice, packet)

        for receiver in uplink.getReceivers():
            # The receiver would decode it, and offers no other way to its packets.
            setattr(receiver, "_handle_rtp_packet", take)  # noqa: B010 - the name is not public
        self._voices[person_id] = voice
        if self._downlink is not None:
            await self._downlink.arrange(self._voices)
        return uplink.localDescription.sdp

    async def forget(self, person_id: str) -> None:
        """Somebody left."""
        voice = self._voices.pop(person_id, None)
        if voice is None:
            return
        if voice.lane is not None:
            voice.lane.owner = ""
        await voice.uplink.close()
        if self._downlink is not None:
            await self._downlink.arrange(self._voices)

    async def connect(self, send: Send) -> None:
        """Offer the page its tracks."""
        await self.disconnect()
        if self.form != "webaudio":
            self._downlink = Downlink(self.form, send)
            await self._downlink.arrange(self._voices)

    async def take(self, message: dict[str, Any]) -> None:
        """Take the page's answer."""
        if self._downlink is not None:
            await self._downlink.take(message["sdp"])

    async def disconnect(self) -> None:
        """End the page's connection."""
        downlink, self._downlink = self._downlink, None
        for voice in self._voices.values():
            voice.lane = None
        if downlink is not None:
            await downlink.close()

    def cut(self, *, connected: bool) -> None:
        """Lose everything on the way to the page, or nothing any more."""
        self._connected = connected

    def mix(self, pcm: bytes) -> None:
        """Take sound of all people: int16 mono 48 kHz."""
        for player in self._players:
            if self._connected and not player.full():
                player.put_nowait(pcm)

    async def play(self, socket: WebSocket) -> None:
        """Send the mix for as long as the page listens."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(_MOST_UNPLAYED)
        self._players.add(queue)
        try:
            while True:
                await socket.send_bytes(await queue.get())
        finally:
            self._players.discard(queue)

    async def close(self) -> None:
        """End every connection."""
        await self.disconnect()
        for person_id in list(self._voices):
            await self.forget(person_id)

    async def _take(self, voice: Voice, packet: RtpPacket) -> None:
        now = time.monotonic()
        voice.hears(packet, now)
        self._show_speech(voice, now)
        if self._downlink is None:
            return
        lane = self._downlink.lane(voice, now)
        if lane is None:
            return
        sources = [voice.source] if self.form == "shared" else self._loud(now) if self.form == "mixed" else []
        await lane.forward(packet, voice.person_id, sources, connected=self._connected)

    def _loud(self, now: float) -> list[int]:
        return [voice.source for voice in self._voices.values() if voice.person_id != MIX and voice.is_loud(now)]

    def _show_speech(self, voice: Voice, now: float) -> None:
        shown = voice.is_loud(now) and now - voice.began_at >= _LATE_S
        if shown != voice.shown and voice.person_id != MIX:
            voice.shown = shown
            self._show(voice.person_id, shown)
