/** The meeting: who is shown and heard, and the bars that hide when the mouse rests. */
import { hold } from "./dom.js";
import { drawChat, drawParticipants } from "./panels.js";

const HIDE_MS = 3000;
const HIDDEN = "translateY(52px)";

export function drawInside(layer, scene) {
  const { state, h, client } = scene;
  hold(layer, "inside", () => build(scene));
  if (client.stage === undefined) return;
  client.scene = scene;
  client.footer.style.visibility = state.connected ? "visible" : "hidden";
  hold(client.offline, state.connected, () =>
    state.connected ? [] : h("div", { role: "status", class: "wc-reconnecting" }, scene.t.reconnecting),
  );
  drawTiles(scene);
  drawPanels(scene);
}

function build(scene) {
  const { h, client, t } = scene;
  client.view = "gallery";
  client.open = { participants: false, chat: false };
  client.stage = h("video-player-container", { style: "display:block;height:400px" });
  client.right = h("div", { id: "wc-container-right", style: "position:absolute;right:0;top:0;width:400px;z-index:20" });
  client.offline = h("div", {});
  client.footer = footer(scene);
  const menu = h("div", { role: "menu", class: "dark-dropdown", style: "display:none" });
  for (const [view, text] of [["speaker", t.speaker_view], ["gallery", t.gallery_view]]) {
    const item = h("a", { role: "menuitem", href: "#" }, text);
    item.addEventListener("click", (event) => {
      event.preventDefault();
      client.view = view;
      menu.style.display = "none";
      client.scene.replica.pressed(`view ${view}`);
      drawTiles(client.scene);
    });
    menu.append(item);
  }
  const header = h(
    "div",
    { class: "meeting-header", style: "position:absolute;top:0;width:800px;height:48px;z-index:200" },
    h("button", { id: "meeting-info-indication", "aria-label": "Meeting information" }, t.topic),
    h("button", { class: "full-screen-widget__button", "aria-label": t.view, on: { click: () => (menu.style.display = "block") } }, t.view),
    menu,
  );
  const app = h(
    "div",
    { class: "meeting-client", style: "position:fixed;inset:0;overflow:hidden;background:#0d0d0d;color:#fff" },
    client.offline,
    header,
    h("div", { id: "video-share-layout", style: "margin-top:48px" }, client.stage),
    client.right,
    client.footer,
    audioDialog(scene),
  );
  hideAfterRest(app, [client.footer]);
  return h("div", { id: "meeting-app", class: "meeting-app" }, app);
}

/** The bar slides out of the window three seconds after the mouse has come to rest, and back when it moves. */
function hideAfterRest(app, bars) {
  let timer = null;
  const show = () => {
    bars.forEach((bar) => (bar.style.transform = ""));
    clearTimeout(timer);
    timer = setTimeout(() => bars.forEach((bar) => (bar.style.transform = HIDDEN)), HIDE_MS);
  };
  app.addEventListener("mousemove", show);
  show();
}

function bar(h, ...sections) {
  return h(
    "footer",
    { id: "wc-footer", class: "footer main-footer", style: "position:absolute;bottom:0;width:100%;height:52px;background:#000b;z-index:200" },
    ...sections,
  );
}

function barButton(h, name, label, text, pressed) {
  return h("button", { class: `footer-button-base__button ${name}`, "aria-label": label, on: { click: pressed } }, text);
}

function footer(scene) {
  const { h, t, client, replica } = scene;
  client.microphone = barButton(h, "join-audio-container__btn", t.audio, t.audio, () => pressMicrophone(client));
  const camera = barButton(h, "send-video-container__btn", t.start_video_label, t.video, () => replica.pressed("camera_inside"));
  client.people = barButton(h, "footer-button__button", t.participants_open, t.participants, () => turn(client, "participants"));
  client.talk = barButton(h, "footer-button__button", t.chat_open, t.chat, () => turn(client, "chat"));
  const leave = barButton(h, "footer-button__button", t.leave, t.leave, () => askToLeave(client));
  client.bar = h("div", { id: "foot-bar", class: "footer__inner" }, client.microphone, camera, client.people, client.talk, leave);
  client.leaving = h("div", { style: "display:none" });
  return bar(h, client.bar, client.leaving);
}

function turn(client, panel) {
  client.open[panel] = !client.open[panel];
  client.scene.replica.pressed(`${panel} ${client.open[panel] ? "opened" : "closed"}`);
  drawPanels(client.scene);
}

/** The bar gives way to a small window with one button, whose label is empty. */
function askToLeave(client) {
  const { h, t, replica } = client.scene;
  const cancel = h("button", { on: { click: () => show(false) } }, t.cancel);
  const go = h(
    "button",
    { class: "leave-meeting-options__btn leave-meeting-options__btn--danger", "aria-label": "", on: { click: replica.left } },
    t.leave_meeting,
  );
  const show = (asking) => {
    client.bar.style.display = asking ? "none" : "block";
    client.leaving.style.display = asking ? "block" : "none";
  };
  client.leaving.replaceChildren(h("div", { class: "leave-meeting-options" }, go), cancel);
  show(true);
}

/** Whoever came without devices is asked to join the audio; the microphone is live then, whatever was chosen before. */
function audioDialog(scene) {
  const { h, t, client, replica } = scene;
  const dialog = h("div", { class: "join-dialog", role: "presentation", style: "position:absolute;top:160px;left:320px;z-index:210" });
  client.joinAudio = () => {
    dialog.remove();
    replica.pressed("join_audio");
    client.heard = true;
    for (const track of client.audio) track.enabled = true;
    showMicrophone(client, true);
  };
  dialog.append(
    h("div", { class: "join-audio-by-voip" }, h("button", { class: "zm-btn join-audio-by-voip__join-btn", on: { click: client.joinAudio } }, t.audio_by_computer)),
  );
  return dialog;
}

function showMicrophone(client, live) {
  const { t } = client.scene;
  client.live = live;
  client.microphone.setAttribute("aria-label", live ? t.mute_label : t.unmute_label);
  client.microphone.replaceChildren(live ? t.mute : t.unmute);
}

function pressMicrophone(client) {
  if (client.live === undefined) return client.joinAudio();
  showMicrophone(client, !client.live);
  client.scene.replica.pressed(client.live ? "microphone_inside on" : "microphone_inside off");
}

function drawPanels(scene) {
  const { client, state, t } = scene;
  client.people.setAttribute("aria-label", client.open.participants ? t.participants_close : `${t.participants_open},[${state.people.length}] particpants`);
  client.talk.setAttribute("aria-label", client.open.chat ? t.chat_close : t.chat_open);
  client.panels ??= { participants: document.createElement("div"), chat: document.createElement("div") };
  drawParticipants(client.panels.participants, scene);
  drawChat(client.panels.chat, scene);
  for (const name of ["participants", "chat"]) {
    if (client.open[name] && !client.panels[name].isConnected) client.right.append(client.panels[name]);
    if (!client.open[name]) client.panels[name].remove();
  }
}

/** Who is shown large: whoever talks, and after that whoever talked last. */
function active({ state, client }) {
  const others = state.people.filter((person) => !person.self);
  const current = others.find((person) => person.id === client.active);
  const talking = current?.speaking ? current : others.find((person) => person.speaking);
  client.active = (talking ?? current ?? others[0])?.id;
  return others.find((person) => person.id === client.active);
}

function tile(h, frame, person) {
  return h(
    "div",
    { class: frame },
    h(
      "div",
      { class: "video-avatar__avatar" },
      h("div", { class: "video-avatar__avatar-name" }, person.name),
      h("div", { class: "video-avatar__avatar-footer" }, h("span", {}, person.name)),
    ),
  );
}

function drawTiles(scene) {
  const { h, state, client } = scene;
  const shown = active(scene);
  if (client.view === "gallery") {
    // With two people the gallery marks nobody.
    const mark = (person) => (state.people.length > 2 && person.speaking ? " gallery-video-container__video-frame--active" : "");
    const tiles = state.people.map((person) => tile(h, `gallery-video-container__video-frame${mark(person)}`, person));
    client.stage.replaceChildren(h("div", { class: "gallery-video-container__main-view" }, ...tiles));
    return;
  }
  const others = state.people.filter((person) => person !== shown);
  client.stage.replaceChildren(
    h("div", { class: "speaker-bar-container__horizontal-view-wrap" }, ...others.map((person) => tile(h, "speaker-bar-container__video-frame", person))),
    h("div", { class: "speaker-active-container__wrap" }, shown ? tile(h, "speaker-active-container__video-frame", shown) : ""),
  );
}
