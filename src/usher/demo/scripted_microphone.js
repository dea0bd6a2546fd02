// Runs before the scripts of the page. The page asks for a microphone as always; what it gets says what it is told to.
(() => {
  if (!navigator.mediaDevices) return; // the empty page that a browser begins with
  const context = new AudioContext();
  const microphone = context.createMediaStreamDestination();
  const nowMs = () => performance.timeOrigin + performance.now();
  /** Wall-clock time of a moment on the audio clock. */
  const wallMs = (contextS) => nowMs() + (contextS - context.currentTime) * 1000;

  navigator.mediaDevices.getUserMedia = async () => {
    await context.resume();
    return microphone.stream;
  };

  /**
   * Say one line, and return when it is said. If its time is over, it is said at once.
   * @param {string} wav a WAV file in base64
   * @param {number} atMs when to begin, milliseconds since the epoch
   * @returns {Promise<[number, number]>} when it really began and ended, milliseconds since the epoch
   */
  globalThis.scriptedMicrophone = async ([wav, atMs]) => {
    const bytes = Uint8Array.from(atob(wav), (character) => character.charCodeAt(0));
    const line = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(bytes.buffer) });
    line.connect(microphone);
    const ended = new Promise((resolve) => line.addEventListener("ended", resolve));
    const startS = context.currentTime + Math.max(0.02, (atMs - nowMs()) / 1000);
    const startMs = wallMs(startS);
    line.start(startS);
    await ended;
    return [startMs, wallMs(startS + line.buffer.duration)];
  };
})();
