"""One plain sentence for every word of the lifecycle: for users, in the API, on the dashboard and in the docs."""

from collections.abc import Mapping

from usher.domain.lifecycle import Effect, Event, Reason, Source, State

STATE_CAPTION: Mapping[State, str] = {
    State.SCHEDULED: "The bot will be sent when its time comes.",
    State.REQUESTED: "The request is accepted and waits for its launch.",
    State.STARTING: "The bot is being launched.",
    State.JOINING: "The bot is on the meeting's page and is about to join.",
    State.AWAITING_ADMISSION: "The bot is in the lobby and waits to be let in.",
    State.ACTIVE: "The bot is in the meeting and transcribes.",
    State.RECONFIGURING: "The bot is in the meeting and is changing its language or task.",
    State.STOPPING: "The bot was asked to leave and is on its way out.",
    State.ERROR: "The attempt failed; what may be left of it is being cleaned up.",
    State.COMPLETED: "The visit is over.",
    State.FAILED: "The visit failed, and no further attempt is made.",
}

EVENT_CAPTION: Mapping[Event, str] = {
    Event.SCHEDULED: "A bot was requested for a later time.",
    Event.REQUESTED: "A bot was requested for now.",
    Event.LAUNCH_BEGUN: "The launch of the bot began.",
    Event.ROOM_AWAITED: "The launcher has no room for the bot yet; the launch goes on when it has.",
    Event.LAUNCH_FAILED: "The launcher did not start the bot.",
    Event.JOINING_BEGUN: "The bot opened the meeting's page.",
    Event.HELP_WANTED: "Something is in the bot's way that a person has to deal with; the bot waits for that.",
    Event.LOBBY_ENTERED: "The bot entered the lobby.",
    Event.ADMITTED: "The bot was let into the meeting.",
    Event.CONFIGURATION_REQUESTED: "Another language or task was requested.",
    Event.CONFIGURATION_APPLIED: "The bot applied the new configuration.",
    Event.CONFIGURATION_REFUSED: "The bot refused the new configuration and keeps the old one.",
    Event.STOP_REQUESTED: "The user asked the bot to leave.",
    Event.LEFT: "The bot left the meeting.",
    Event.NOT_ADMITTED: "The bot ended without having been in the meeting.",
    Event.CRASHED: "The bot ended with an error.",
    Event.WORKLOAD_VANISHED: "The launcher no longer knows the bot.",
    Event.LEASE_EXPIRED: "The bot was silent for too long.",
    Event.TERMINATED: "The bot was ended by force after its time to leave had passed.",
    Event.STOP_FAILED: "The launcher could not confirm that the bot has ended.",
    Event.DEADLINE_PASSED: "The time allowed in this state has passed.",
    Event.MISSED: "The time to join went by without the bot being sent.",
    Event.RETRY_GRANTED: "Another attempt was granted.",
    Event.STOP_FINISHED: "Clean-up is done, and the stop that was asked for is complete.",
    Event.GAVE_UP: "Clean-up is done, and no further attempt is made.",
}

REASON_CAPTION: Mapping[Reason, str] = {
    Reason.STOPPED: "The user stopped the bot.",
    Reason.MEETING_ENDED: "The meeting ended.",
    Reason.LEFT_ALONE: "Everybody else had left.",
    Reason.NO_ONE_JOINED: "Nobody else came.",
    Reason.EVICTED: "Somebody removed the bot from the meeting.",
    Reason.REJECTED: "The bot was not let in.",
    Reason.ADMISSION_TIMEOUT: "Nobody let the bot in within the time allowed.",
    Reason.JOIN_FAILED: "The bot could not get through the meeting's page.",
    Reason.MEETING_NOT_FOUND: "The platform knows no meeting at this address.",
    Reason.NOT_STARTED: "Nobody started the meeting within the time allowed.",
    Reason.PASSCODE_WRONG: "The platform did not take the passcode, or wants one.",
    Reason.SIGN_IN_REQUIRED: "The platform lets only people in who are signed in.",
    Reason.CAPTCHA: "The platform wants proof of a person, and nobody gave it within the time allowed.",
    Reason.BLOCKED: "The platform turned the bot away for being one.",
    Reason.LAUNCH_FAILED: "The bot could not be launched.",
    Reason.LAUNCH_REJECTED: "The launcher refused this bot for good.",
    Reason.LAUNCH_TIMEOUT: "The launch, or the bot's first report, took too long.",
    Reason.NO_ROOM: "The launcher had no room for the bot.",
    Reason.IMAGE_MISSING: "The image that the bot is made from could not be had.",
    Reason.CRASHED: "The bot ended with an error.",
    Reason.CONNECTION_LOST: "The bot's connection to the meeting broke and did not come back.",
    Reason.PAGE_CRASHED: "The meeting's page, or the browser, died.",
    Reason.PAGE_FROZEN: "The meeting's page no longer answered.",
    Reason.OUT_OF_MEMORY: "The bot needed more memory than it may use.",
    Reason.PREEMPTED: "The launcher took the bot's place away: an eviction, a preemption or a drained machine.",
    Reason.NODE_LOST: "The machine that the bot ran on was lost.",
    Reason.WORKLOAD_VANISHED: "The bot disappeared from the launcher.",
    Reason.MISSED: "The time to join went by: there was no free seat, or Usher was not running.",
    Reason.LEASE_EXPIRED: "The bot stopped reporting.",
    Reason.MAX_DURATION: "The longest stay that is allowed was reached.",
    Reason.CLEAN_UP_FAILED: "What was left of the attempt could not be cleaned up in time.",
}

EFFECT_CAPTION: Mapping[Effect, str] = {
    Effect.LAUNCH: "Start the bot.",
    Effect.SEND_COMMAND: "Publish the commands that the bot has not acknowledged.",
    Effect.TERMINATE: "End the bot, and take its credentials away.",
    Effect.TERMINATE_AFTER_GRACE: "End the bot if it has not left within the grace time.",
    Effect.CLEAN_UP: "Make sure that nothing of the attempt is running, then retry or end the meeting.",
    Effect.FINISH_MEETING: "Do what follows a meeting, once.",
    Effect.NOTIFY: "Tell the user's webhook of the change, once for each change if the user has one.",
}

SOURCE_CAPTION: Mapping[Source, str] = {
    Source.USER: "Whoever calls the API.",
    Source.BOT: "The bot of the current attempt.",
    Source.DISPATCHER: "The worker that runs effects.",
    Source.RECONCILER: "The sweep that compares the launcher, leases and deadlines with the meetings.",
}
