import { Requests, Sound, Tiles } from "./tiles.js";

const byId = (id) => document.getElementById(id);

const WAITING = {
  connecting: ["Connecting", "One moment, please."],
  lobby: ["Asking to join", "You are in the lobby. You will be in the meeting as soon as the host lets you in."],
};

const OVER = {
  denied: ["Your request was denied", "The host did not let you in."],
  removed: ["You were removed", "The host removed you from the meeting."],
  ended: ["The meeting has ended", "The host ended it for everybody."],
  left: ["You left the meeting", "You can come back as long as it lasts."],
  error: ["Something went wrong", "The meeting cannot be reached at the moment."],
};

const WHY = {
  connection_lost: "The connection to the meeting was lost.",
  room_full: "This room is full.",
  lobby_full: "Too many people are waiting at the moment. Please try again soon.",
  too_many_rooms: "There are too many meetings at the moment. Please try again soon.",
  host_only: "Only the host can do that.",
  no_such_participant: "This person is no longer here.",
  no_microphone: "There is no microphone, or the browser may not use it.",
};

const TOAST_MS = 4_000;

/** Everything that is seen: screens, buttons, people. Knows nothing of sockets and connections. */
export class View {
  #tiles = new Tiles();
  #requests = new Requests();
  #sound = new Sound();
  #me = null;
  #host = null;
  #hostCommand = () => {};
  #toastTimer = null;

  constructor({ roomId, asksForHost, name }) {
    document.title = `${roomId} · Usher room`;
    document.querySelectorAll("[data-room-id]").forEach((element) => (element.textContent = roomId));
    byId("join-button").textContent = asksForHost ? "Join now" : "Ask to join";
    byId("your-name").value = name;
    byId("again-button").addEventListener("click", () => location.reload());
    byId("your-name").focus();
  }

  get name() {
    return byId("your-name").value.trim();
  }

  onJoin(join) {
    byId("join-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.name) join({ name: this.name, withMicrophone: byId("microphone-switch").checked });
      else byId("your-name").focus();
    });
  }

  onLeave(leave) {
    document.querySelectorAll("[data-action=leave]").forEach((button) => button.addEventListener("click", leave));
  }

  onMute(toggle) {
    byId("mute-button").addEventListener("click", toggle);
  }

  onEnd(end) {
    byId("end-button").addEventListener("click", end);
  }

  /** command(type, participantId) with type "admit", "deny" or "remove". */
  onHostCommand(command) {
    this.#hostCommand = command;
  }

  /** Show the screen of a state, and move the focus there so that screen readers follow. */
  show(state) {
    document.body.dataset.roomState = state;
    const screen = state in WAITING ? "waiting" : state in OVER ? "over" : state;
    if (state in WAITING) [byId("waiting-title").textContent, byId("waiting-text").textContent] = WAITING[state];
    document.querySelectorAll("[data-screen]").forEach((section) => {
      section.hidden = section.dataset.screen !== screen;
    });
    document.querySelector(`[data-screen=${screen}] h1`).focus();
  }

  enter(me, others, host) {
    this.#me = me.id;
    this.#tiles.add(me, { isSelf: true });
    others.forEach((person) => this.addPerson(person));
    this.setHost(host);
    this.setMicrophone(me.id, me.microphone);
    this.#countPeople();
    this.show("meeting");
  }

  addPerson(person) {
    this.#tiles.add(person, { onRemove: () => this.#hostCommand("remove", person.id) });
    this.setHost(this.#host);
    this.#countPeople();
  }

  removePerson(id) {
    this.#tiles.remove(id);
    this.#sound.stop(id);
    this.#countPeople();
  }

  setHost(id) {
    this.#host = id;
    const iAmHost = id === this.#me;
    this.#tiles.setHost(id, { iAmHost });
    byId("end-button").hidden = !iAmHost;
    if (!iAmHost) this.#requests.clear();
  }

  setMicrophone(id, state) {
    this.#tiles.setMicrophone(id, state);
    if (id !== this.#me) return;
    const button = byId("mute-button");
    button.querySelector("span").textContent = state === "live" ? "Mute" : "Unmute";
    button.querySelector("use").setAttribute("href", state === "live" ? "#icon-mic" : "#icon-mic-off");
    button.dataset.microphone = state;
  }

  setSpeaking(id, isSpeaking) {
    this.#tiles.setSpeaking(id, isSpeaking);
  }

  playSound(id, track) {
    this.#sound.play(id, track);
  }

  addRequest(id, name) {
    this.#requests.add(id, name, {
      onAdmit: () => this.#hostCommand("admit", id),
      onDeny: () => this.#hostCommand("deny", id),
    });
  }

  removeRequest(id) {
    this.#requests.remove(id);
  }

  /** Say in passing why something cannot be. */
  refuse(why) {
    const toast = byId("toast");
    toast.textContent = WHY[why] ?? OVER.error[1];
    toast.hidden = false;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => (toast.hidden = true), TOAST_MS);
  }

  finish(state, why) {
    this.#sound.stopAll();
    [byId("over-title").textContent, byId("over-text").textContent] = OVER[state];
    if (why in WHY) byId("over-text").textContent = WHY[why];
    this.show(state);
  }

  #countPeople() {
    byId("people-count").textContent = this.#tiles.count === 1 ? "1 person" : `${this.#tiles.count} people`;
  }
}
