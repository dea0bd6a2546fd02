/** The tiles of the participants, the requests of those in the lobby, and the sound of each participant. */

const byId = (id) => document.getElementById(id);
const copyOf = (templateId) => byId(templateId).content.firstElementChild.cloneNode(true);

const MICROPHONE = {
  live: { icon: "#icon-mic", text: "microphone on" },
  muted: { icon: "#icon-mic-off", text: "muted" },
  none: { icon: "#icon-listener", text: "listening only" },
};

export function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [name];
  return letters.map((word) => [...word][0]).join("").toUpperCase();
}

/** A colour of its own for each name, the same on every page. */
export function hueOf(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 9_973;
  return (hash * 137) % 360;
}

export class Tiles {
  #list = byId("tiles");
  #tiles = new Map();

  get count() {
    return this.#tiles.size;
  }

  add({ id, name, microphone }, { isSelf = false, onRemove = null } = {}) {
    this.remove(id);
    const tile = copyOf("tile-template");
    Object.assign(tile.dataset, { participantId: id, participantName: name });
    Object.assign(tile.dataset, { self: isSelf, speaking: false, host: false });
    tile.style.setProperty("--hue", hueOf(name));
    tile.querySelector(".avatar").textContent = initials(name);
    tile.querySelector(".name").textContent = isSelf ? `${name} (you)` : name;
    tile.querySelector(".remove").setAttribute("aria-label", `Remove ${name}`);
    tile.querySelector(".remove").addEventListener("click", onRemove);
    this.#tiles.set(id, tile);
    this.setMicrophone(id, microphone);
    this.#list.append(tile);
  }

  remove(id) {
    this.#tiles.get(id)?.remove();
    this.#tiles.delete(id);
  }

  setMicrophone(id, state) {
    const tile = this.#tiles.get(id);
    if (tile === undefined) return;
    tile.dataset.microphone = state;
    tile.querySelector("use").setAttribute("href", MICROPHONE[state].icon);
    tile.querySelector(".microphone-text").textContent = `, ${MICROPHONE[state].text}`;
  }

  setSpeaking(id, isSpeaking) {
    const tile = this.#tiles.get(id);
    if (tile === undefined) return;
    tile.dataset.speaking = isSpeaking;
    tile.classList.toggle("speaking", isSpeaking);
  }

  setHost(hostId, { iAmHost }) {
    for (const [id, tile] of this.#tiles) {
      tile.dataset.host = id === hostId;
      tile.querySelector(".badge").hidden = id !== hostId;
      tile.querySelector(".remove").hidden = !iAmHost || tile.dataset.self === "true";
    }
  }
}

export class Requests {
  #panel = byId("requests");

  add(id, name, { onAdmit, onDeny }) {
    this.remove(id);
    const request = copyOf("request-template");
    Object.assign(request.dataset, { requestId: id, requestName: name });
    request.setAttribute("aria-label", `${name} asks to join`);
    request.querySelector("p").textContent = `${name} asks to join`;
    for (const [kind, label, act] of [["admit", "Admit", onAdmit], ["deny", "Deny", onDeny]]) {
      const button = request.querySelector(`.${kind}`);
      button.setAttribute("aria-label", `${label} ${name}`);
      button.addEventListener("click", act);
    }
    this.#panel.append(request);
  }

  remove(id) {
    [...this.#panel.children].find((request) => request.dataset.requestId === id)?.remove();
  }

  clear() {
    this.#panel.replaceChildren();
  }
}

export class Sound {
  #box = byId("sound");

  /** Play what a participant says; the element stays for as long as the participant does. */
  play(id, track) {
    this.stop(id);
    const audio = document.createElement("audio");
    audio.dataset.participantAudio = id;
    audio.autoplay = true;
    audio.srcObject = new MediaStream([track]);
    this.#box.append(audio);
  }

  stop(id) {
    const audio = [...this.#box.children].find((element) => element.dataset.participantAudio === id);
    if (audio === undefined) return;
    audio.srcObject = null;
    audio.remove();
  }

  stopAll() {
    [...this.#box.children].forEach((audio) => this.stop(audio.dataset.participantAudio));
  }
}
