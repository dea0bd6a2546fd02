/** The meeting as a guest sees it: tiles, the bar of controls, the chat. */
import { html } from "/replica/site/markup.js";

/** Builds differ in how they show who speaks: those of companies have no outline around a tile. */
const isOutlined = location.hostname === "teams.live.com";

/** What the guest has opened, and when the mouse moved: the bar hides while it does not. */
export const view = { chat: false, isIdle: false, previewed: 0 };

const IDLE_MS = 4000;
const PREVIEW_MS = 5000;

export function watchMouse(drawAgain) {
  let timer = null;
  const move = () => {
    clearTimeout(timer);
    timer = setTimeout(() => setIdle(true), IDLE_MS);
    if (view.isIdle) setIdle(false);
  };
  const setIdle = (isIdle) => {
    view.isIdle = isIdle;
    drawAgain();
  };
  document.addEventListener("mousemove", move);
  move();
}

const outline = ({ speaking }) =>
  html`<div data-tid="voice-level-stream-outline" class="${speaking ? "fui-outline vdi-frame-occlusion" : "fui-outline"}" data-is-speaking="${speaking}"></div>`;

/** Nobody's own tile has an outline. */
const tile = (texts) => (person) => html`
  <div role="menuitem" tabindex="0" class="participant" data-tid="participant-tile-${person.id}" data-cid="calling-participant-stream" data-acc-element-id="calling-stream-${person.id}" aria-label="${person.name}, ${texts.menu}">
    <div data-tid="${person.name}" data-stream-type="Video" class="stream">
      ${isOutlined && !person.self ? outline(person) : null}
      <span class="name">${person.name}</span>
    </div>
  </div>`;

/** The host shows a screen: a tile of its own that is nobody. */
const screen = (texts) => (person) => html`
  <div class="participant" data-tid="participant-content-${person.id}">
    <div data-tid="${texts.shared} ${person.name}" data-stream-type="ScreenSharing">${texts.shared} ${person.name}</div>
  </div>`;

const bar = (texts, isMuted) => html`<div role="toolbar" class="calling-controls">
  <button id="chat-button" data-tid="chat-button" aria-label="${texts.chat}" data-do="chat">${texts.chat}</button>
  <button id="roster-button" data-tid="roster-button" aria-label="${texts.people}">${texts.people}</button>
  <button id="raisehands-button">${texts.raise}</button>
  <button id="callingButtons-showMoreBtn" aria-label="${texts.more}">${texts.more}</button>
  <button id="microphone-button" aria-label="${isMuted ? texts.unmute_microphone : texts.mute_microphone}"></button>
  ${hangup(texts, "leave")}
  <button id="hangup-options" aria-label="${texts.leave_options}"></button>
</div>`;

export const hangup = (texts, act) =>
  html`<button id="hangup-button" data-tid="hangup-main-btn" data-inp="hangup-button" aria-label="${texts.leave}" data-do="${act}">${texts.leave}</button>`;

/** Whose a line is stands above the first of several; one's own have no name. */
const line = (own) => ({ id, sender, text }, i, lines) => html`<div data-tid="chat-pane-item" class="${sender === own ? "fui-ChatMyMessage" : "fui-ChatMessage"}">
  ${sender === own || lines[i - 1]?.sender === sender ? null : html`<span data-tid="message-author-name">${sender}</span>`}
  <div data-tid="chat-pane-message" data-mid="${id}" class="chat-message"><div data-tid="messageBodyContent">${text}</div></div>
</div>`;

const composer = (texts) => html`
  <div data-tid="ckeditor" role="textbox" contenteditable="true" aria-label="${texts.message}" class="ck"></div>
  <button data-tid="newMessageCommands-send" aria-label="${texts.send}" data-do="send"></button>
  <button aria-label="${texts.close}" data-do="chat"></button>`;

/** A message that comes while the chat is closed is shown for a while, outside of any region that is known. */
export function preview(lines, drawAgain) {
  if (lines.length <= view.previewed) return;
  setTimeout(() => {
    view.previewed = lines.length;
    drawAgain();
  }, PREVIEW_MS);
}

const toast = (lines) => {
  const { sender, text } = lines.at(-1) ?? {};
  return lines.length > view.previewed ? html`<div role="status" class="toast">${sender}: ${text}</div>` : null;
};

export const call = (state, texts, isMuted) => ({
  title: html`<h1 data-tid="call-title">${texts.subject}</h1>`,
  stage: html`${state.people.map(tile(texts))}${state.people.filter(({ host }) => host).map(screen(texts))}`,
  controls: view.isIdle ? null : bar(texts, isMuted),
  lines: view.chat ? html`<div data-tid="message-pane-list-viewport">${state.chat.map(line(state.people.find(({ self }) => self)?.name))}</div>` : toast(state.chat),
  composer: view.chat ? composer(texts) : null,
  over: state.connected ? null : html`<div role="status">${texts.reconnecting}</div>`,
});
