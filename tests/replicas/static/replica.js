/**
 * In every page of a replica: the connection to the meeting's truth, the sound, and what was pressed.
 *
 *   import { connect } from "/replica/static/replica.js";
 *   const replica = await connect({ draw(state, replica) { … } });
 *
 * `draw` is called after every change with the state as the README tells it, `look.slow_ms` late. Besides:
 *   replica.state             the newest state that was drawn
 *   replica.texts             texts.json of the platform, in the language of the look, else in English
 *   replica.generated(name)   a class name or generated attribute value: another one when the look is bare
 *   replica.pressed(control, name), asked({ name, microphone, camera, passcode }), left(), cancelled(), said(text), solved()
 *                             tell the meeting; each returns a promise of its having been taken, and drawn
 *   replica.dismissed(name)   the same as pressed("dialog", name): the dialog goes away
 * Sound needs nothing of the page, unless it wants to put the media elements somewhere itself: `placeAudio(element, track)`.
 */
export async function connect({ draw, placeAudio = (element) => document.body.append(element) }) {
  const socket = new WebSocket(`wss://${location.host}/replica/socket`);
  const waiting = new Map();
  let count = 0;
  let drawn = Promise.resolve();
  let texts = null;
  let connection = null;
  let player = null;

  const replica = {
    state: null,
    get texts() {
      return { ...texts?.en, ...texts?.[replica.state?.look.language ?? "en"] };
    },
    generated: (name) => (replica.state?.look.bare ? `x${[...name].reverse().join("")}q` : name),
    pressed: (control, name) => tell({ type: "pressed", control, ...(name && { name }) }),
    dismissed: (name) => replica.pressed("dialog", name),
    asked: (request) => tell({ type: "asked", ...request }),
    left: () => tell({ type: "left" }),
    cancelled: () => tell({ type: "cancelled" }),
    said: (text) => tell({ type: "said", text }),
    solved: () => tell({ type: "solved" }),
  };

  function tell(message) {
    const id = ++count;
    socket.send(JSON.stringify({ ...message, id }));
    return new Promise((resolve) => waiting.set(id, resolve));
  }

  const pause = (ms) => (ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : null);

  async function show(state) {
    await pause(state.look.slow_ms);
    replica.state = state;
    draw(state, replica);
    if (state.phase === "inside" && state.look.sound === "webaudio") player ??= play();
  }

  /** One peer connection, renewed by the offers that come: each track plays in an element of its own. */
  async function listen({ sdp, fresh }) {
    if (fresh) {
      connection?.close();
      connection = new RTCPeerConnection();
      connection.addEventListener("track", ({ track, streams }) => {
        const element = document.createElement("audio");
        element.autoplay = true;
        element.srcObject = streams[0] ?? new MediaStream([track]);
        placeAudio(element, track);
      });
    }
    await connection.setRemoteDescription({ type: "offer", sdp });
    await connection.setLocalDescription(await connection.createAnswer());
    while (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    socket.send(JSON.stringify({ type: "answer", sdp: connection.localDescription.sdp }));
  }

  /** The mix as PCM, played by the page itself: no remote track is to be seen. */
  async function play() {
    const context = new AudioContext({ sampleRate: 48000 });
    await context.audioWorklet.addModule("/replica/static/player.js");
    await context.resume();
    const node = new AudioWorkletNode(context, "replica-player", { numberOfInputs: 0, outputChannelCount: [1] });
    node.connect(context.destination);
    const sound = new WebSocket(`wss://${location.host}/replica/sound`);
    sound.binaryType = "arraybuffer";
    sound.onmessage = ({ data }) => node.port.postMessage(data, [data]);
    return { context, sound };
  }

  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "state") drawn = drawn.then(() => show(message));
    else if (message.type === "done") drawn.then(() => waiting.get(message.id)());
    else if (message.type === "offer") drawn.then(() => listen(message));
    else if (message.type === "silence") connection?.close();
  };
  await new Promise((resolve) => (socket.onopen = resolve));
  texts = await fetch("/replica/site/texts.json").then((answer) => (answer.ok ? answer.json() : {}));
  await tell({ type: "opened" });
  return replica;
}
