/**
 * Google Meet's page as a guest sees it. Written from other bots' sources as of August 2026 (roles, labels, texts, ids,
 * class names) and from Vexa's capture of an error page, not from the knowledge that the bot has.
 *
 * Strict where the real page is: the join button sleeps until a name is typed; fields count what is typed, not values that
 * are set; presses that no pointer made do nothing; the toolbar hides itself; the lobby has the meeting's buttons and a
 * tile that is nobody; a page protected by reCAPTCHA has its badge.
 */
import { connect } from "/replica/static/replica.js";
import { device, tellRoster } from "/replica/site/roster.js";

const TOOLBAR_MS = 3000;
const BUBBLE_MS = 4000;
const SWITCH_MS = 300;
const BLOCKED_NAME = /\b(notetaker|robot|bot)\b/i;
const IN_CALL = ["lobby", "not_started", "inside"];

const app = document.querySelector("#app");
const over = document.querySelector("#over");
const query = new URLSearchParams(location.search);
const devices = { microphone: true, camera: true };
let replica = null;
let drawn = "";
let roster = null;
let rosterBegun = false;
let chatOpen = false;
let chatSeen = 0;
let blockedLocally = false;
let asleep = null;
/** For tests: what the page itself got through the channel and from the fetch. */
window.heardByPage = [];

/** Words in the language of the look; in "xx", a language that nobody knows, each is spelt backwards. */
function t(name) {
  const word = replica.texts[name] ?? name;
  return replica.state.look.language === "xx" ? [...word].reverse().join("") : word;
}
const c = (...names) => names.map((name) => replica.generated(name)).join(" ");

/** An element with attributes, `on` handlers that take trusted events alone, and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "press") element.addEventListener("click", (event) => event.isTrusted && value(event));
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const icon = (name) => make("i", { class: c("google-symbols", "notranslate"), "aria-hidden": "true" }, name);
const span = (text) => make("span", { jsname: c("V67aGc"), class: c("UywwFc-vQzf8d") }, text);

const button = (text, press, more = {}) =>
  make("button", { jsname: c("Qx7uuf"), class: c("UywwFc-LgbsSe"), press, ...more }, span(text));

const iconButton = (name, label, press, more = {}) =>
  make("button", { "aria-label": label, class: c("VfPpkd-Bz112c-LgbsSe"), press, ...more }, icon(name));

function deviceButton(kind, jsname) {
  const [on, off] = [t(`${kind}On`), t(`${kind}Off`)];
  const made = iconButton(kind, "", async () => {
    const wanted = made.dataset.isMuted === "true";
    await new Promise((resolve) => setTimeout(resolve, SWITCH_MS));
    devices[kind] = wanted;
    show();
    replica.pressed(kind);
  }, { jsname: c(jsname) });
  const show = () => {
    made.setAttribute("aria-label", devices[kind] ? off : on);
    made.dataset.isMuted = String(!devices[kind]);
    made.dataset.tooltip = made.getAttribute("aria-label");
  };
  show();
  return made;
}

/** The tile of the settings of effects: it has an id as people's tiles have, before the meeting too. */
const phantom = () =>
  make("div", { "data-participant-id": "spaces/wLk2fQ0tN1UB/devices/900", jscontroller: c("gXXgK") },
    make("button", {}, icon("visual_effects"), t("effects")));

function leaveButton() {
  const press = () => (replica.state.phase === "inside" ? replica.left() : replica.cancelled());
  return iconButton("call_end", t("leave"), press, { jsname: c("CQylAd") });
}

function toolbar(inside) {
  return make("div", { role: "region", "aria-label": t("callControls"), "data-toolbar": "" },
    deviceButton("microphone", "hw0c9"),
    deviceButton("camera", "psRWwc"),
    inside ? iconButton("closed_caption", t("captions"), () => {}) : null,
    inside ? iconButton("present_to_all", t("present"), () => {}) : null,
    iconButton("more_vert", t("more"), () => {}, { jsname: c("NakZHc") }),
    leaveButton(),
    iconButton("people", t("people"), () => {}, { "data-panel-id": "1" }),
    iconButton("chat", t("chat"), openChat, { "data-panel-id": "2" }));
}

// --- Before the meeting ---

function prejoin() {
  let name = "";
  const ask = async () => {
    if (BLOCKED_NAME.test(name)) {
      blockedLocally = true;
      redraw();
      return;
    }
    await replica.asked({ name: name.trim(), ...devices });
  };
  const join = button(t("join"), ask, { disabled: true });
  const field = make("input", {
    type: "text", jsname: c("YPqjbf"), "aria-label": t("name"), placeholder: t("name"), maxlength: "60", autocomplete: "off",
  });
  // What counts is what was typed: a value that is set from outside without an event is taken back.
  field.addEventListener("input", () => {
    name = field.value;
    join.disabled = name.trim() === "";
  });
  field.addEventListener("blur", () => (field.value = name));
  return make("main", { jscontroller: c("dyDNGc") },
    make("header", {}, make("a", { href: "https://accounts.google.com/signin" }, t("signIn"))),
    make("div", { class: c("oORaUb") }, phantom(), deviceButton("microphone", "hw0c9"), deviceButton("camera", "psRWwc"),
      make("div", { jscontroller: c("wjy3Gb") },
        make("button", { jsname: c("NakZHc"), "aria-label": t("more") }, make("span", {}, icon("more_vert"))))),
    make("div", {},
      make("div", { role: "heading", "aria-level": "1" }, t("nameQuestion")),
      make("input", { type: "text", "aria-hidden": "true", tabindex: "-1", style: "opacity:0;height:1px" }),
      field, join,
      make("div", {}, button(t("otherWays"), () => {}, { "aria-haspopup": "menu", jsname: c("VHdM4") }))));
}

function lobby(hostMissing) {
  return make("main", { jscontroller: c("kAPMuc") },
    phantom(),
    make("div", { role: "heading", "aria-level": "1" }, t(hostMissing ? "hostMissing" : "lobby")),
    make("div", {}, t("lobbyMore")),
    button(t("home"), () => replica.cancelled()),
    toolbar(false));
}

// --- The meeting ---

function tile(person) {
  const { bare } = replica.state.look;
  const shownName = person.self ? t("you") : person.name;
  const loud = person.speaking ? "HX2H7 Oaajhc" : "gjg47c";
  return make("div", {
    "data-participant-id": device(person), "data-requested-participant-id": device(person), class: c("oZRSLe"),
    jscontroller: c("RxEqHb"), "aria-label": shownName,
    ...(bare && { "data-audio-level": person.speaking ? "4" : "0" }),
  },
    make("div", { jsname: c("QgSmzd"), class: c("IisKdb", ...loud.split(" ")) }),
    make("div", { class: c("XEazBc") }, make("span", { class: c("notranslate") }, shownName)),
    person.self ? null : iconButton("keep_outline", t("pin").replace("{name}", person.name), () => {}));
}

function meeting() {
  return make("main", { jscontroller: c("izfDQc") },
    make("div", { role: "alert", "data-reconnecting": "", hidden: true }, t("reconnecting")),
    make("div", { class: c("tiles") + " tiles", "data-tiles": "" }),
    make("div", { "data-bubble": "", hidden: true }),
    make("aside", { "data-chat": "", hidden: true },
      make("h2", {}, t("chatTitle")),
      iconButton("close", t("close"), () => { chatOpen = false; fill(); }),
      make("div", { "data-lines": "", "aria-live": "polite" }),
      composer()),
    phantom(),
    make("footer", {}, make("div", { "data-meeting-code": "" }, "abc-defg-hij"), toolbar(true)));
}

function composer() {
  let text = "";
  const send = () => {
    if (text.trim() === "") return;
    replica.said(text);
    text = field.value = "";
    sender.disabled = true;
  };
  const field = make("textarea", { "aria-label": t("message"), placeholder: t("message"), jsname: c("YPqjbf"), maxlength: "516" });
  const sender = iconButton("send", t("message"), send, { disabled: true, jsname: c("SoqoBf") });
  field.addEventListener("input", () => {
    text = field.value;
    sender.disabled = text.trim() === "";
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || !event.isTrusted) return;
    event.preventDefault();
    send();
  });
  return make("div", {}, field, sender);
}

function openChat() {
  chatOpen = true;
  replica.pressed("chat");
  fill();
}

function line({ id, sender, text }) {
  return make("div", { "data-message-id": `spaces/wLk2fQ0tN1UB/messages/${id}`, class: c("RLrADb") },
    make("div", { class: c("poVWob") }, sender),
    make("div", { class: c("jO4O1"), jsname: c("dTKtvb") }, text));
}

/** What changes in the meeting while it is shown. */
function fill() {
  const { people, chat, connected } = replica.state;
  const part = (name) => app.querySelector(`[data-${name}]`);
  if (!part("tiles")) return;
  part("tiles").replaceChildren(...people.map(tile));
  part("reconnecting").hidden = connected;
  part("chat").hidden = !chatOpen;
  part("lines").replaceChildren(...chat.map(line));
  if (!chatOpen && chat.length > chatSeen) bubble(chat.at(-1));
  chatSeen = chat.length;
  roster?.news();
}

/** New messages show for a moment, even with the chat closed. */
function bubble({ sender, text }) {
  const place = app.querySelector("[data-bubble]");
  place.replaceChildren(make("div", { class: c("mnqVfc") }, sender), make("div", {}, text));
  place.hidden = false;
  setTimeout(() => (place.hidden = true), BUBBLE_MS);
}

function stayAwake() {
  clearTimeout(asleep);
  for (const bar of app.querySelectorAll("[data-toolbar]")) bar.classList.remove("asleep");
  asleep = setTimeout(() => {
    if (replica.state.phase !== "inside") return;
    for (const bar of app.querySelectorAll("[data-toolbar]")) bar.classList.add("asleep");
  }, TOOLBAR_MS);
}
addEventListener("pointermove", stayAwake);

// --- After it, or instead of it ---

function endScreen(title, more = "", attributes = {}) {
  return make("div", { class: c("Fi0Gqc"), jscontroller: c("VQ0pCb"), ...attributes },
    make("h1", { jsname: c("r4nke"), class: c("roSPhc") }, title),
    make("div", { class: c("ZQRLqf") }, more),
    make("div", { "data-call-ended": "true", "data-is-connection-lost": String(replica.state.phase === "lost") },
      button(t("home"), () => {}), button(t("rejoin"), () => {})),
    make("div", { role: "timer" }, "44"));
}

const notFound = () =>
  make("div", { class: c("Fi0Gqc"), jscontroller: c("VQ0pCb"), "data-startup-code": "217", "data-timeout": "60000" },
    make("h1", { jsname: c("r4nke"), class: c("roSPhc") }, t("notFound")),
    make("div", {}, t("notFoundMore")),
    make("div", { "data-call-ended": "true", "data-is-connection-lost": "false" }, button(t("home"), () => {}, { jsname: c("dqt8Pb") })),
    make("div", { "data-call-ended": "true" }, button(t("feedback"), () => {}, { jsname: c("rhHFf") })));

function wall(kind) {
  if (kind === "captcha") {
    return make("div", {}, make("h1", {}, t("captcha")),
      make("iframe", { title: "reCAPTCHA", width: "304", height: "78", src: "https://www.google.com/recaptcha/enterprise/anchor?size=normal" }),
      button(t("again"), () => {}));
  }
  if (kind === "sign_in") {
    location.assign(`https://accounts.google.com/v3/signin/identifier?continue=${encodeURIComponent(location.href)}`);
    return make("div", {});
  }
  return endScreen(t("blocked"), t("blockedMore"));
}

// --- Dialogs: what lies over the page ---

function cover(title, more, ...buttons) {
  return make("div", { class: "cover", "data-mdc-dialog-scrim": "" },
    make("div", { role: "dialog", "aria-modal": "true" }, make("h2", {}, title), make("p", {}, more), ...buttons));
}

const dismiss = (name) => () => replica.dismissed(name);

const DIALOGS = {
  use_without_account: (name) =>
    cover(t("useAccount"), "", button(t("signIn"), () => location.assign("https://accounts.google.com/signin")),
      make("div", { role: "button", tabindex: "0", press: dismiss(name) }, span(t("useWithoutAccount")))),
  microphone_not_found: (name) =>
    cover(t("microphoneMissing"), t("microphoneMissingMore"), iconButton("close", t("closeDialog"), dismiss(name))),
  recorded: (name) =>
    cover(t("recorded"), t("recordedMore"), button(t("joinNow"), dismiss(name), { "data-mdc-dialog-action": "ok" })),
  got_it: (name) => cover(t("tip"), t("tipMore"), button(t("gotIt"), dismiss(name))),
  gemini: (name) => cover(t("gemini"), "", button(t("gotIt"), dismiss(name), { "data-mdc-dialog-action": "ok" })),
  camera_not_found: (name) =>
    make("div", { role: "dialog", class: "cover" }, make("div", {}, make("h2", {}, t("cameraMissing")), button(t("dismiss"), dismiss(name)))),
};

const gate = () =>
  cover(t("gateQuestion"), "", button(t("gateYes"), () => {}),
    button(t("gateNo"), () => replica.pressed("continue_without_devices")));

// --- The whole ---

const SCREENS = {
  gate: prejoin,
  prejoin,
  lobby: () => lobby(false),
  not_started: () => lobby(true),
  inside: meeting,
  denied: () => endScreen(t("denied"), t("deniedMore")),
  removed: () => endScreen(t("removed")),
  ended: () => endScreen(t("ended")),
  left: () => endScreen(t("left")),
  lost: () => endScreen(t("lost")),
  not_found: notFound,
  passcode_wrong: () => endScreen(t("blocked")),
  wall: () => wall(replica.state.wall),
};

function redraw() {
  const { phase, look, wall: kind } = replica.state;
  document.documentElement.lang = look.language;
  document.title = IN_CALL.includes(phase) ? "Meet – abc-defg-hij" : "Google Meet";
  // The form stays what it is while the question in front of it goes away.
  const screen = blockedLocally ? "blocked" : `${phase === "gate" ? "prejoin" : phase} ${kind} ${look.language} ${look.bare}`;
  if (screen !== drawn) {
    drawn = screen;
    app.replaceChildren(blockedLocally ? wall("blocked") : SCREENS[phase]());
    stayAwake();
  }
  over.replaceChildren(
    ...(phase === "gate" ? [gate()] : []),
    ...replica.state.dialogs.filter((name) => name in DIALOGS).map((name) => DIALOGS[name](name)),
  );
  fill();
  if (phase === "inside" && !rosterBegun && query.get("roster") !== "absent") {
    rosterBegun = true;
    tellRoster(() => replica.state.people, window.heardByPage).then((told) => { roster = told; told.news(); });
  }
}

await connect({
  draw(_, connected) {
    replica = connected;
    redraw();
  },
});
