const LOOK_EVERY_MS = 100;
/** About -36 dB: above the noise of a room, below a quiet voice. */
const SPEECH_LEVEL = 0.015;
/** The pauses between words are part of speaking. */
const HOLD_MS = 500;

/** Tells who speaks, from the levels of the connections: no audio graph, so it costs next to nothing. */
export class SpeakingWatch {
  #mesh;
  #onChange;
  #lastLoudMs = new Map();
  #speaking = new Set();
  #timer = null;

  constructor({ mesh, onChange }) {
    this.#mesh = mesh;
    this.#onChange = onChange;
  }

  start(ownId) {
    this.#timer = setInterval(async () => {
      this.#take([...this.#mesh.levels(), [ownId, await this.#mesh.ownLevel()]]);
    }, LOOK_EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  #take(levels) {
    const nowMs = performance.now();
    const present = new Set(levels.map(([id]) => id));
    for (const [id, level] of levels) if (level > SPEECH_LEVEL) this.#lastLoudMs.set(id, nowMs);
    for (const [id, loudMs] of this.#lastLoudMs) {
      const isSpeaking = present.has(id) && nowMs - loudMs < HOLD_MS;
      if (isSpeaking !== this.#speaking.has(id)) this.#change(id, isSpeaking);
      if (!present.has(id)) this.#lastLoudMs.delete(id);
    }
  }

  #change(id, isSpeaking) {
    if (isSpeaking) this.#speaking.add(id);
    else this.#speaking.delete(id);
    this.#onChange(id, isSpeaking);
  }
}
