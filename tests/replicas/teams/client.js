/** Teams' client in the browser: the form, the lobby, the meeting, and what there is afterwards. */
import { connect } from "/replica/static/replica.js";
import { call, hangup, preview, view, watchMouse } from "/replica/site/call.js";
import { draw, html, obey } from "/replica/site/markup.js";
import { actions, form, hearName, isLight, lookForDevices, prejoin } from "/replica/site/prejoin.js";
import { captcha, notice, overlay } from "/replica/site/walls.js";
import { run } from "/replica/site/wire.js";

const PARTS = ["title", "stage", "field", "controls", "lines", "composer", "over", "dialogs"];
const holders = Object.fromEntries(PARTS.map((name) => [name, document.body.appendChild(document.createElement("section"))]));

/** A track is silent where the guest does not want sound here. */
const tracks = new Set();

const lobby = (texts) => ({
  title: html`<h1 data-tid="call-title">${texts.subject}</h1>`,
  stage: html`<div data-tid="lobby-screen" class="lobby"><p>${texts.lobby}</p></div>`,
  controls: html`<button id="microphone-button" aria-label="${texts.unmute_microphone}"></button>${hangup(texts, "cancel")}`,
});

const retry = (title, texts) => ({
  stage: html`<main class="retry"><h1 id="calling-retry-screen-title">${title}</h1>
    <button class="fui-Button">${texts.rejoin}</button>
    <button data-tid="calling-retry-cancelbutton" class="fui-Button">${texts.dismiss}</button>
  </main>`,
});

const screens = {
  gate: (_, texts) => prejoin(texts),
  prejoin: (_, texts) => prejoin(texts),
  lobby: (_, texts) => lobby(texts),
  inside: (state, texts) => call(state, texts, !form.microphone),
  denied: (_, texts) => retry(texts.denied, texts),
  removed: (_, texts) => retry(texts.removed, texts),
  ended: (_, texts) => retry(texts.ended, texts),
  left: (_, texts) => retry(texts.left, texts),
  lost: (_, texts) => retry(texts.lost, texts),
  not_found: (_, texts) => ({ stage: notice(texts.not_found) }),
  not_started: (_, texts) => ({ stage: notice(texts.not_started) }),
  wall: (state, texts) => (state.wall === "captcha" ? { over: captcha(texts) } : { stage: notice(texts[state.wall] ?? "") }),
};

const dialog = (texts) => (name) => {
  const content = html`<p>${texts[name]}</p><button data-do="dismiss:${name}">${texts[`${name}_button`]}</button>`;
  return name === "recorded" ? html`<div role="alert">${content}</div>` : overlay(html`<div role="dialog" aria-modal="true">${content}</div>`);
};

function drawAgain() {
  const { state, texts } = replica;
  document.documentElement.lang = state.look.language;
  document.title = `${texts.subject} | Microsoft Teams`;
  const parts = screens[state.phase](state, texts);
  parts.dialogs = html`${state.dialogs.map(dialog(texts))}`;
  PARTS.forEach((name) => draw(holders[name], parts[name] ?? null, replica));
  tracks.forEach((track) => (track.enabled = form.sound === "computer"));
}

let replica = null;
replica = await connect({
  draw(state, connected) {
    replica = connected;
    form.asked &&= state.phase === "prejoin" || state.phase === "gate";
    run(state);
    preview(state.chat, drawAgain);
    drawAgain();
  },
  placeAudio(element, track) {
    tracks.add(track);
    track.enabled = form.sound === "computer";
    document.body.append(element);
  },
});

hearName(drawAgain);
watchMouse(drawAgain);
if (!isLight) lookForDevices(drawAgain);

obey({
  ...actions(drawAgain),
  join() {
    form.asked = true;
    drawAgain();
    replica.asked({ name: form.name, microphone: form.microphone, camera: form.camera });
  },
  cancel: () => replica.cancelled(),
  leave: () => replica.left(),
  solve: () => replica.solved(),
  dismiss: (name) => replica.dismissed(name),
  chat() {
    view.chat = !view.chat;
    drawAgain();
  },
  send() {
    const field = document.querySelector("[data-tid='ckeditor']");
    if (field.textContent.trim()) replica.said(field.textContent);
    field.textContent = "";
  },
});
