/**
 * Zoom's web client, at the top of the page or in the frame of the app around it: draws each phase as a guest sees it.
 *
 * Parameters of the address choose among what the real client does from one day to another:
 *   devices=none     the previews' buttons keep their labels, since there is nothing that they could switch
 *   passcode=asked   the form asks for the passcode although the address holds one
 */
import { connect } from "/replica/static/replica.js";
import { banner } from "./cookies.js";
import { hold, maker } from "./dom.js";
import { drawInside } from "./inside.js";
import { drawDialogs, drawEnd } from "./notices.js";
import { drawLobby, drawPrejoin } from "./prejoin.js";
import { drawWall } from "./walls.js";

const framed = window.parent !== window;
const client = { heard: false, asked: false, audio: [] };
const layers = ["main", "dialogs", "end"].map(() => document.createElement("div"));

/** The waiting room, the meeting and what ends it lie over one another; everything else stands alone. */
const DRAWN = {
  prejoin: drawPrejoin,
  passcode_wrong: drawPrejoin,
  lobby: drawLobby,
  denied: drawLobby,
  inside: drawInside,
  removed: drawInside,
  ended: drawInside,
  lost: drawInside,
  wall: drawWall,
  not_found: drawError,
  not_started: drawError,
};

function drawError(layer, { state, h, t }) {
  document.title = t.error_title;
  hold(layer, state.phase, () => h("div", { class: "zm-error", role: "alert" }, t[state.phase]));
}

/** The launcher is where a guest is sent who has not chosen the browser yet. */
function backToLauncher() {
  const [, , meeting] = location.pathname.split("/");
  window.top.location.replace(`https://us05web.zoom.us/j/${meeting}${location.search}`);
}

function draw(state, replica) {
  if (state.phase === "gate") return backToLauncher();
  if (state.phase === "left") return window.top.location.assign("https://app.zoom.us/wc");
  const scene = { state, replica, client, h: maker(replica), t: replica.texts };
  const [main, dialogs, end] = layers;
  if (!main.isConnected) {
    document.body.append(...layers);
    if (!framed) document.body.append(banner(scene.h, scene.t, (how) => replica.pressed(`cookies ${how}`)) ?? "");
  }
  DRAWN[state.phase](main, scene);
  drawDialogs(dialogs, scene);
  drawEnd(end, scene);
}

/** Sound is heard once a guest has joined the computer audio. */
function placeAudio(element, track) {
  track.enabled = client.heard;
  client.audio.push(track);
  document.body.append(element);
}

const replica = await connect({ draw, placeAudio });
window.addEventListener("message", ({ origin, data }) => {
  if (origin === location.origin && data?.cookies) replica.pressed(`cookies ${data.cookies}`);
});
