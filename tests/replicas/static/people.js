/**
 * Everybody in the call but the bot: each has a microphone of tones or recorded speech, and a peer connection.
 * Times are milliseconds since the epoch.
 */
globalThis.people = (() => {
  const context = new AudioContext({ sampleRate: 48000 });
  const mix = context.createMediaStreamDestination();
  const here = new Map();
  const nowMs = () => performance.timeOrigin + performance.now();
  const wallMs = (contextS) => nowMs() + (contextS - context.currentTime) * 1000;
  const contextS = (atMs) => context.currentTime + Math.max(0.02, (atMs - nowMs()) / 1000);

  /** A peer connection that sends the stream; returns it with its offer, complete with candidates. */
  async function offer(stream) {
    const connection = new RTCPeerConnection();
    connection.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly" });
    await connection.setLocalDescription(await connection.createOffer());
    while (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    return connection;
  }

  async function send(id, stream, parts) {
    await context.resume();
    const connection = await offer(stream);
    here.set(id, { connection, ...parts });
    return connection.localDescription.sdp;
  }

  return {
    /** Somebody comes, and is silent for now; returns the offer of their sound. */
    join([id, humHz]) {
      const microphone = context.createMediaStreamDestination();
      const voice = new GainNode(context);
      voice.connect(microphone);
      voice.connect(mix);
      const loudness = new GainNode(context, { gain: 0 });
      const tone = new OscillatorNode(context, { frequency: humHz });
      tone.connect(loudness).connect(voice);
      tone.start();
      return send(id, microphone.stream, { voice, loudness, tone });
    },

    /** The sound of all of them, as one more sender. */
    joinMix: (id) => send(id, mix.stream, {}),

    /** The sound of all of them as PCM, int16 mono 48 kHz, to a WebSocket. */
    async sendMix(url) {
      await context.resume();
      await context.audioWorklet.addModule("/replica/static/taker.js");
      const taker = new AudioWorkletNode(context, "replica-taker", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      const socket = new WebSocket(url);
      await new Promise((resolve) => (socket.onopen = resolve));
      taker.port.onmessage = ({ data }) => socket.readyState === WebSocket.OPEN && socket.send(data);
      context.createMediaStreamSource(mix.stream).connect(taker);
    },

    accept: ([id, sdp]) => here.get(id).connection.setRemoteDescription({ type: "answer", sdp }),

    /** Hum, or be silent, from a moment on; returns when it is. */
    hum([id, on, atMs]) {
      const atS = contextS(atMs);
      // A short ramp: a click would be sound of its own.
      here.get(id).loudness.gain.setTargetAtTime(on ? 0.3 : 0, atS, 0.005);
      return wallMs(atS);
    },

    /** Say a WAV file in base64 from a moment on; returns when it really began and ended. */
    async speak([id, wav, atMs]) {
      const bytes = Uint8Array.from(atob(wav), (character) => character.charCodeAt(0));
      const line = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(bytes.buffer) });
      line.connect(here.get(id).voice);
      const ended = new Promise((resolve) => line.addEventListener("ended", resolve));
      const startS = contextS(atMs);
      const startMs = wallMs(startS);
      line.start(startS);
      await ended;
      return [startMs, wallMs(startS + line.buffer.duration)];
    },

    leave(id) {
      const { connection, voice, tone } = here.get(id);
      here.delete(id);
      tone.stop();
      voice.disconnect();
      connection.close();
    },
  };
})();
