/**
 * The form before the meeting. The light experience has older buttons, and leaves for the full one as soon as somebody
 * begins to fill it in: what was filled in is gone.
 */
import { html } from "/replica/site/markup.js";
import { overlay } from "/replica/site/walls.js";

const RELOAD_MS = 150;
const RELOAD_ANYWAY_MS = 5000;

export const isLight = location.pathname.startsWith("/light-meetings");

/** What is filled in; nothing of it survives a reload. */
export const form = { name: "", microphone: true, camera: true, sound: "computer", devices: "unknown", asked: false };

function reload() {
  location.replace(`/v2/?meetingjoin=true&lightExperience=false${location.hash}`);
}

/** A guest without devices is asked whether that is meant, before anything else can be pressed. */
export async function lookForDevices(drawAgain) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    stream.getTracks().forEach((track) => track.stop());
    form.devices = "there";
  } catch {
    form.devices = "missing";
  }
  drawAgain();
}

/** The name counts when the page hears of it by an event of input, as React's fields do. */
export function hearName(drawAgain) {
  if (isLight) setTimeout(reload, RELOAD_ANYWAY_MS);
  document.addEventListener("input", ({ target }) => {
    if (!target.matches("[data-field='name']")) return;
    form.name = target.value;
    if (isLight) setTimeout(reload, RELOAD_MS);
    drawAgain();
  });
}

export const actions = (drawAgain) => {
  const change = (values) => {
    Object.assign(form, values);
    drawAgain();
  };
  return {
    microphone: () => change({ microphone: !form.microphone }),
    camera: () => change({ camera: !form.camera }),
    sound: (kind) => change({ sound: kind }),
    without: () => change({ devices: "done_without", sound: "none" }),
  };
};

const light = (texts) => html`
  <input type="text" class="name-field" placeholder="${texts.name}" data-field="name" />
  <button aria-label="${form.microphone ? texts.mute_microphone : texts.unmute_microphone}" data-do="microphone"></button>
  <button aria-label="${form.camera ? texts.camera_off : texts.camera_on}" data-do="camera"></button>
  <p>${texts.preparing}</p>
  <button class="join-btn" disabled>${texts.join}</button>`;

const toggle = (tid, label, isOn, act) =>
  html`<div role="switch" tabindex="0" data-tid="${tid}" aria-label="${label}" aria-checked="${isOn}" data-do="${act}"></div>`;

const choice = (kind, label) =>
  html`<div role="radio" tabindex="0" aria-label="${label}" aria-checked="${form.sound === kind}" data-do="sound:${kind}">${label}</div>`;

const full = (texts) => html`
  <div role="radiogroup">${choice("computer", texts.computer_audio)}${choice("none", texts.no_audio)}</div>
  ${toggle("toggle-mute", texts.microphone, form.microphone, "microphone")}
  ${toggle("toggle-video", texts.camera, form.camera, "camera")}`;

const noDevices = (texts) =>
  overlay(html`<div role="alertdialog" aria-modal="true">
    <h2>${texts.no_devices}</h2>
    <button data-do="without">${texts.continue_without}</button>
  </div>`);

const isReady = () => form.name.trim() !== "" && form.devices !== "unknown" && form.devices !== "missing" && !form.asked;

/** The fields stay what they are while the rest changes: the name's is in a part of its own. */
export const prejoin = (texts) => ({
  title: html`<h1 data-tid="call-title">${texts.subject}</h1>`,
  field: isLight
    ? null
    : html`<input type="text" aria-hidden="true" style="display: none" />
        <input type="text" data-tid="prejoin-display-name-input" class="fui-Input__input" placeholder="${texts.name}" data-field="name" />`,
  controls: isLight
    ? light(texts)
    : html`${full(texts)}
        <button id="prejoin-join-button" data-tid="prejoin-join-button" class="fui-Button" data-do="join" ${isReady() ? html`` : html`disabled`}>
          ${form.asked ? texts.connecting : texts.join}
        </button>
        <button data-tid="prejoin-cancel-button" class="fui-Button" data-do="cancel">${texts.cancel}</button>`,
  over: !isLight && form.devices === "missing" ? noDevices(texts) : null,
});
