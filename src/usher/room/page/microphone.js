/** How long somebody may take to answer the browser's question; then they join and listen. */
const PERMISSION_TIMEOUT_MS = 20_000;

/** The own microphone: "none", "muted" or "live". */
export class Microphone {
  #stream = null;

  get track() {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  get state() {
    if (this.track === null) return "none";
    return this.track.enabled ? "live" : "muted";
  }

  /** Ask for the microphone. Without one, or without leave to use it, the state stays "none". */
  async open() {
    // Pages that are not served over HTTPS or from this machine have no mediaDevices at all.
    const asked = navigator.mediaDevices?.getUserMedia({ audio: true }) ?? Promise.reject(new Error("no devices"));
    let late = false;
    asked.then((stream) => late && stream.getTracks().forEach((track) => track.stop()), () => {});
    const timeout = new Promise((resolve) => setTimeout(resolve, PERMISSION_TIMEOUT_MS, null));
    this.#stream = await Promise.race([asked.catch(() => null), timeout]);
    late = this.#stream === null;
  }

  toggle() {
    this.track.enabled = !this.track.enabled;
  }

  release() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
  }
}
