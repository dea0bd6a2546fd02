/**
 * What runs under Teams' page: the frames of its signalling, the call object, and the data channel of the conference.
 * A bare look has none of it: a page that is built otherwise keeps such things to itself.
 */
const CALL_ID = crypto.randomUUID();
const CODES = { denied: 5854, removed: 5000, ended: 0 };

let signalling = null;
let channel = null;
let people = [];

const idOf = ({ id, self }) => (self ? "8:teamsvisitor:bot" : `8:orgid:${id}`);

function participant(person) {
  return { id: idOf(person), displayName: person.name, hasAudioSource: (source) => source !== 0 && source === person.source };
}

/** Frames come over a WebSocket of the page; its far end is silent here, so they are put on it at this end. */
function frame(callId, subCode) {
  const url = `https://pub-ent-euwe-02.trouter.teams.microsoft.com/v4/f/x/conversation/conversationEnd/`;
  const content = { url, headers: { "X-Microsoft-Skype-Chain-ID": callId }, body: JSON.stringify({ code: 200, subCode }) };
  signalling.dispatchEvent(new MessageEvent("message", { data: `3:::${JSON.stringify(content)}` }));
}

async function openChannel() {
  const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
  here.onicecandidate = ({ candidate }) => there.addIceCandidate(candidate);
  there.onicecandidate = ({ candidate }) => here.addIceCandidate(candidate);
  here.createDataChannel("main-channel");
  there.ondatachannel = (event) => (channel = event.channel);
  await here.setLocalDescription();
  await there.setRemoteDescription(here.localDescription);
  await there.setLocalDescription();
  await here.setRemoteDescription(there.localDescription);
}

/** Who spoke last, as JSON behind a few bytes of the transport's own. */
function tellDominant(history) {
  if (channel?.readyState !== "open" || !history.length) return;
  const text = new TextEncoder().encode(JSON.stringify([{ type: "dsh", history }]));
  channel.send(new Uint8Array([0, 1, 2, text.length % 256, ...text]));
}

let history = [];

function followSpeakers(state) {
  const speaking = state.people.filter((person) => person.speaking && !history.slice(0, 1).includes(person.source));
  if (!speaking.length) return;
  history = [speaking[0].source, ...history.filter((source) => source !== speaking[0].source)];
  tellDominant(history);
}

let phase = null;

export function run(state) {
  if (state.look.bare) return;
  signalling ??= new WebSocket(`wss://${location.host}/replica/socket`);
  people = state.people;
  if (state.phase === "inside") {
    window.callingDebug ??= {
      observableCall: { _callId: CALL_ID, callerMri: "8:teamsvisitor:bot", get participants() { return people.map(participant); } },
    };
    if (phase !== "inside") {
      openChannel();
      // The end of another call of the same guest.
      frame(crypto.randomUUID(), CODES.removed);
    }
    followSpeakers(state);
  }
  if (state.phase !== phase && state.phase in CODES) frame(CALL_ID, CODES[state.phase]);
  phase = state.phase;
}
