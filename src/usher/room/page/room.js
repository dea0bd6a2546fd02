/**
 * The room's page: one visit, from the name field to the last screen.
 *
 * What people, and bots that act like people, can rely on:
 *
 *   body[data-room-state]  prejoin | connecting | lobby | meeting | denied | removed | ended | left | error
 *   prejoin    text field "Your name", switch "Microphone", button "Ask to join" ("Join now" with ?host=1);
 *              ?name=NAME fills in the name; nothing is joined before the button is pressed
 *   lobby      a status text and a button "Cancel"
 *   meeting    buttons "Mute" / "Unmute", "Leave"; for the host "End for all", "Remove NAME", and for each
 *              [data-request-id][data-request-name] the buttons "Admit NAME" and "Deny NAME"
 *   people     [data-participant-id][data-participant-name] with data-self, data-host, data-speaking ("true" or
 *              "false") and data-microphone ("live", "muted" or "none")
 *   sound      audio[data-participant-audio="PARTICIPANT ID"], whose srcObject is what that participant says;
 *              there is none for oneself
 *
 * Sound goes from browser to browser; the WebSocket only carries names, rules and the negotiation.
 */
import { Mesh } from "./mesh.js";
import { Microphone } from "./microphone.js";
import { Signalling } from "./signalling.js";
import { SpeakingWatch } from "./speaking.js";
import { View } from "./view.js";

const query = new URLSearchParams(location.search);
const asksForHost = query.get("host") === "1";
const roomId = location.pathname.split("/").at(-1);

const view = new View({ roomId, asksForHost, name: query.get("name") ?? "" });
const microphone = new Microphone();
const signalling = new Signalling(`${location.href.replace(/[?#].*$/, "").replace(/^http/, "ws")}/signal`);
const mesh = new Mesh({
  microphone,
  send: (to, step) => signalling.send({ type: "signal", to, ...step }),
  onTrack: (id, track) => view.playSound(id, track),
});
const speaking = new SpeakingWatch({ mesh, onChange: (id, isSpeaking) => view.setSpeaking(id, isSpeaking) });

let me = null;
let over = false;

const onMessage = {
  ping: () => signalling.send({ type: "pong" }),
  waiting: () => view.show("lobby"),
  admitted: ({ you, host, participants }) => {
    me = you;
    view.enter({ id: you, name: view.name, microphone: microphone.state }, participants, host);
    participants.forEach((participant) => mesh.call(participant.id));
    speaking.start(you);
  },
  joined: ({ participant }) => {
    view.addPerson(participant);
    mesh.expect(participant.id);
  },
  gone: ({ participant }) => {
    mesh.drop(participant);
    view.removePerson(participant);
  },
  asked: ({ participant, name }) => view.addRequest(participant, name),
  ask_closed: ({ participant }) => view.removeRequest(participant),
  host_changed: ({ host }) => view.setHost(host),
  microphone_changed: ({ participant, microphone: state }) => view.setMicrophone(participant, state),
  signalled: ({ sender, description, candidate }) => mesh.receive(sender, description, candidate),
  over: ({ why }) => finish(why),
  refused: ({ why }) => (me === null ? finish("error", why) : view.refuse(why)),
};

function finish(state, why) {
  if (over) return;
  over = true;
  speaking.stop();
  mesh.close();
  microphone.release();
  signalling.close();
  view.finish(state, why);
}

async function join({ name, withMicrophone }) {
  view.show("connecting");
  if (withMicrophone) await microphone.open();
  if (over) return microphone.release();
  signalling.open({
    onOpen: () => signalling.send({ type: "join", name, host: asksForHost, microphone: microphone.state }),
    onMessage: (message) => onMessage[message.type]?.(message),
    onClose: () => finish("error", "connection_lost"),
  });
}

async function toggleMicrophone() {
  if (microphone.state === "none") {
    await microphone.open();
    if (over) return microphone.release();
    if (microphone.state === "none") return view.refuse("no_microphone");
    mesh.startSending();
  } else {
    microphone.toggle();
  }
  view.setMicrophone(me, microphone.state);
  signalling.send({ type: "microphone", microphone: microphone.state });
}

view.onJoin(join);
view.onLeave(() => {
  signalling.send({ type: "leave" });
  finish("left");
});
view.onMute(toggleMicrophone);
view.onEnd(() => signalling.send({ type: "end" }));
view.onHostCommand((type, participant) => signalling.send({ type, participant }));
// Closing the page must not leave a ghost behind until the server notices the silence.
addEventListener("pagehide", () => signalling.send({ type: "leave" }));
