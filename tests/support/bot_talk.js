/**
 * People with voices, for tests of what the bot hears: each is a tone. Runs in the page of the people; the page of the bot
 * uses `answer` alone.
 */
globalThis.talk = (() => {
  const nowMs = () => performance.timeOrigin + performance.now();
  const complete = (connection) =>
    new Promise((resolve) => {
      const look = () => connection.iceGatheringState === "complete" && resolve(connection.localDescription.sdp);
      connection.addEventListener("icegatheringstatechange", look);
      look();
    });
  let context = null;
  const voices = new Map();
  const connections = [];

  /** Make a connection with voices, [[name, hz], …]: with `mixed` in one track, else each in one of its own. */
  async function offer(people, mixed) {
    context ??= new AudioContext({ sampleRate: 48000 });
    await context.resume();
    const connection = new RTCPeerConnection();
    connections.push(connection);
    const mix = context.createMediaStreamDestination();
    const tracks = new Set();
    for (const [name, hz] of people) {
      const tone = new OscillatorNode(context, { frequency: hz });
      const gain = new GainNode(context, { gain: 0 });
      const microphone = mixed ? mix : context.createMediaStreamDestination();
      tone.connect(gain).connect(microphone);
      tone.start();
      voices.set(name, gain);
      tracks.add(microphone.stream.getAudioTracks()[0]);
    }
    for (const track of tracks) {
      connection.addTransceiver(track, { direction: "sendonly", streams: [new MediaStream([track])] });
    }
    await connection.setLocalDescription();
    return complete(connection);
  }

  const accept = (sdp) => connections.at(-1).setRemoteDescription({ type: "answer", sdp });
  const connected = () => connections.every((connection) => connection.connectionState === "connected");

  /** Turns [[name, beginS, endS], …] from now on. Returns when that was, milliseconds since the epoch. */
  function say(turns, leadS = 0.2) {
    const at = context.currentTime + leadS;
    for (const [name, begin, end] of turns) {
      const { gain } = voices.get(name);
      gain.setTargetAtTime(0.3, at + begin, 0.004);
      gain.setTargetAtTime(0, at + end, 0.004);
    }
    return nowMs() + leadS * 1000;
  }

  /** The bot's side: returns the answer, and the ids of the tracks that came, in order. */
  async function answer(sdp) {
    const connection = new RTCPeerConnection();
    connections.push(connection);
    const ids = [];
    connection.ontrack = ({ track }) => ids.push(track.id);
    await connection.setRemoteDescription({ type: "offer", sdp });
    await connection.setLocalDescription();
    return [await complete(connection), ids];
  }

  const states = () => connections.map((connection) => [connection.connectionState, connection.iceConnectionState]);

  return { offer, accept, connected, states, say, answer };
})();
