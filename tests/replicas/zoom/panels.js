/** The panels on the right: who is there, and the chat. */
import { hold } from "./dom.js";

export function drawParticipants(panel, { state, h, t, client }) {
  const rows = [...state.people].sort((a, b) => Number(b.self) - Number(a.self)).map((person, index) => {
    const label = person.self ? t.me_label : person.host ? t.host_label : "";
    const audio = person.self && !client.live ? t.audio_muted : t.audio_unmuted;
    return h(
      "li",
      {
        role: "application",
        id: `participants-list-${index}`,
        class: "item-pos participants-li",
        "aria-label": `${person.name} ${label},${audio},${t.video_off}`,
      },
      h("span", { class: "participants-item__display-name" }, person.name),
      label ? h("span", { class: "participants-item__name-label" }, label) : null,
    );
  });
  panel.replaceChildren(
    h(
      "div",
      { class: "participants-section-container" },
      h("div", { class: "panel-shell-header__header" }, `${t.participants} (${state.people.length})`),
      h("div", { role: "application", "aria-label": t.participants_list }, h("ul", { id: "participants-unified-list", class: "participants-ul" }, ...rows)),
    ),
  );
}

const TIME = "03:43 PM";

/** Only the first message of several of one sender has a head. */
function line(scene, said, before, index) {
  const { h, t, state } = scene;
  const own = state.people.some((person) => person.self && person.name === said.sender);
  const sender = own ? t.me : said.sender;
  const head = h(
    "div",
    { class: "new-chat-item__chat-info-header" },
    h("span", { class: "chat-item__sender" }, sender),
    ` ${t.to} `,
    h("span", { class: "chat-item__receiver" }, t.everyone),
    h("span", { class: "new-chat-item__chat-info-time-stamp" }, TIME),
  );
  return h(
    "div",
    { class: "chat-item-container new-chat-item__container" },
    before?.sender === said.sender ? null : head,
    h(
      "div",
      {
        class: "new-chat-message__container",
        id: `chat-message-content-${index}`,
        role: "row",
        "aria-label": `${sender} ${t.to} ${t.everyone}, ${TIME}, ${said.text}`,
      },
      h("div", { class: "new-chat-message__text-box" }, h("div", { class: "new-chat-message__text-content" }, h("p", {}, said.text))),
    ),
  );
}

function composer({ h, t, replica }) {
  let held = "";
  const editor = h("div", {
    class: "tiptap ProseMirror",
    contenteditable: "true",
    role: "textbox",
    "aria-label": t.chat_hint,
    style: "min-height:40px;border:1px solid",
  });
  const send = h("button", { class: "chat-rtf-box__send chat-rtf-box__send--disabled", "aria-label": t.send, disabled: true }, "➤");
  const changed = (text) => {
    held = text.trim();
    send.disabled = held === "";
    send.classList.toggle(replica.generated("chat-rtf-box__send--disabled"), send.disabled);
  };
  // The editor takes what is put in as a whole as well, but not what a script sets.
  editor.addEventListener("input", ({ isTrusted }) => isTrusted && changed(editor.innerText));
  const say = () => {
    if (!held) return;
    replica.said(held);
    editor.replaceChildren();
    changed("");
  };
  editor.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    say();
  });
  send.addEventListener("click", say);
  return h("div", { class: "chat-rtf-box__editor-outer" }, editor, send);
}

export function drawChat(panel, scene) {
  const { h, t, state, client } = scene;
  hold(panel, "chat", () => {
    const list = h("div", { id: "chat-list-content", role: "grid", "aria-label": t.chat_list, style: "height:200px;overflow:auto" });
    client.lines = list;
    const hint = h("div", { class: "relative-tooltip" }, h("b", {}, t.continue_conversation));
    hint.append(h("button", { on: { click: () => hint.remove() } }, t.got_it));
    return h("div", { id: "chat" }, h("div", { class: "chat-container" }, hint, list, composer(scene)));
  });
  const count = state.chat.length;
  hold(client.lines, count, () => state.chat.map((said, index) => line(scene, said, state.chat[index - 1], index)));
}
