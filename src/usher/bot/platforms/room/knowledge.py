"""What the bot knows of the room's page.

Source: the contract at the top of `usher/room/page/room.js`, November 2026.
"""

from usher.bot.platforms.port import Presence

NAME_FIELD = "Your name"
MICROPHONE_SWITCH = "Microphone"
JOIN_BUTTON = "Ask to join"
LEAVE_BUTTON = "Leave"
CANCEL_BUTTON = "Cancel"

PRESENCE = {
    "prejoin": Presence.CONNECTING,
    "connecting": Presence.CONNECTING,
    "lobby": Presence.LOBBY,
    "meeting": Presence.INSIDE,
    "denied": Presence.REJECTED,
    "removed": Presence.REMOVED,
    "ended": Presence.ENDED,
    "left": Presence.ENDED,
    "error": Presence.BROKEN,
}

LOOK = """() => ({
  state: document.body.dataset.roomState,
  people: [...document.querySelectorAll("[data-participant-id]")].map((tile) => ({
    id: tile.dataset.participantId, name: tile.dataset.participantName, isSelf: tile.dataset.self === "true",
  })),
  sounds: [...document.querySelectorAll("audio[data-participant-audio]")].flatMap((audio) =>
    (audio.srcObject?.getAudioTracks() ?? []).map(
      (track) => ({ id: audio.dataset.participantAudio, track: track.id }),
    )),
})"""
"""Run in the page: its state, who is there, and whose sound is on which track."""
