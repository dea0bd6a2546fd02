/**
 * Runs before the meeting's own scripts: hands every remote audio track, apart from the others, to the bot.
 *
 * Wraps RTCPeerConnection, so it needs nothing of the page. Each track is attached to a muted media element (without
 * one Chromium delivers zeros) and read by an AudioWorklet at 16 kHz mono. Over one WebSocket to the bot:
 *   text    {"secret"} first, then {"type": "track", "id", "trackId"} and {"type": "ended", "id"}
 *   binary  uint32 id, float64 position of the first sample, float32 samples (little endian)
 * Source: measured on Chromium 156, November 2026.
 */
(() => {
  const config = __CONFIG__;
  if (window.top !== window || !window.RTCPeerConnection) return;

  const FRAME = 1600;
  const BACKLOG = 1200;
  const MOST_UNSENT_BYTES = 8 * 1024 * 1024;
  const WORKLET = `registerProcessor("usher-capture", class extends AudioWorkletProcessor {
    constructor() { super(); this.frame = new Float32Array(${FRAME}); this.filled = 0; this.position = 0; }
    process([input]) {
      const channel = input[0], count = channel ? channel.length : 128;
      for (let i = 0; i < count; i++) {
        this.frame[this.filled++] = channel ? channel[i] : 0;
        if (this.filled === ${FRAME}) {
          this.port.postMessage({ position: this.position, samples: this.frame }, [this.frame.buffer]);
          this.position += ${FRAME}; this.filled = 0; this.frame = new Float32Array(${FRAME});
        }
      }
      return true;
    }
  })`;

  const waiting = [];
  let socket = null;
  let count = 0;

  function connect() {
    socket = new WebSocket(config.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      socket.send(JSON.stringify({ secret: config.secret }));
      waiting.splice(0).forEach((message) => socket.send(message));
    };
    socket.onclose = () => setTimeout(connect, 500);
  }

  function send(message) {
    // A bot that does not read loses samples, which it will notice; the page does not run out of memory.
    if (socket?.readyState === WebSocket.OPEN) socket.bufferedAmount < MOST_UNSENT_BYTES && socket.send(message);
    else if (waiting.length < BACKLOG) waiting.push(message);
  }

  function sendSamples(id, { position, samples }) {
    const message = new ArrayBuffer(12 + samples.byteLength);
    const header = new DataView(message);
    header.setUint32(0, id, true);
    header.setFloat64(4, position, true);
    new Uint8Array(message, 12).set(new Uint8Array(samples.buffer));
    send(message);
  }

  let ready = null;
  function context() {
    ready ??= (async () => {
      const made = new AudioContext({ sampleRate: 16000 });
      const url = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
      await made.audioWorklet.addModule(url);
      if (made.state !== "running") await made.resume();
      return made;
    })();
    return ready;
  }

  const heard = new WeakSet();
  const kept = new Set();

  async function hear(track) {
    if (heard.has(track)) return;
    heard.add(track);
    const id = ++count;
    const stream = new MediaStream([track]);
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play().catch(() => {});
    const audio = await context();
    const source = audio.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(audio, "usher-capture", {
      numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit",
    });
    const parts = { element, source, node };
    kept.add(parts);
    send(JSON.stringify({ type: "track", id, trackId: track.id }));
    node.port.onmessage = ({ data }) => sendSamples(id, data);
    source.connect(node);
    track.addEventListener("ended", () => {
      source.disconnect();
      node.port.onmessage = null;
      element.srcObject = null;
      kept.delete(parts);
      send(JSON.stringify({ type: "ended", id }));
    });
  }

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...args) {
      super(...args);
      this.addEventListener("track", ({ track }) => track.kind === "audio" && hear(track));
    }
  };
  connect();
})();
