"""The room: a small, real meeting that Usher hosts itself.

Everything a person needs is one page; everything the page needs from the server is one WebSocket. Sound flows
between the browsers (WebRTC, full mesh), never through the server. Rooms live in memory and vanish when empty.

What a person, or a bot that acts like one, can rely on:

* ``<body data-room-state>`` is one of ``prejoin``, ``connecting``, ``lobby``, ``meeting``, ``denied``, ``removed``,
  ``ended``, ``left``, ``error``.
* Before joining: a text field labelled "Your name", a switch "Microphone", a button "Ask to join" ("Join now" with
  ``?host=1``). ``?name=`` fills in the name. Nobody joins without a press of the button.
* In the meeting: buttons "Mute" / "Unmute", "Leave" and, for the host, "End for all", "Admit NAME", "Deny NAME",
  "Remove NAME".
* Each participant is an element ``[data-participant-id][data-participant-name]`` with ``data-self``,
  ``data-speaking`` and ``data-host`` (``"true"`` or ``"false"``) and ``data-microphone`` (``live``, ``muted``,
  ``none``).
* The sound of each other participant is the ``srcObject`` of ``<audio data-participant-audio="PARTICIPANT ID">``.
* People who may be admitted are elements ``[data-request-id][data-request-name]``, shown to the host only.

Who is host: the first person in an empty room, until somebody comes who asks to be host (``?host=1``); that one stays
host until gone. Then the participant who has been in longest follows. Everyone else waits in the lobby. There is no
password: who knows the id of a room and comes with ``?host=1`` before another such host does is its host.
"""

from usher.room.app import room_app
from usher.room.limits import RoomLimits

__all__ = ["RoomLimits", "room_app"]
