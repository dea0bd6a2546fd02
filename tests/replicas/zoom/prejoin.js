/** The form in front of the meeting, and the waiting room. */
import { hold, typed } from "./dom.js";

const query = new URLSearchParams(location.search);

/** A button whose label says what a press does next: "Mute" while the microphone is on. */
function toggle(h, id, on, off) {
  const button = h("button", { id, class: "preview-video__control-button", type: "button" });
  const show = (isOn) => {
    button.isOn = isOn;
    button.setAttribute("aria-label", isOn ? on : off);
    button.replaceChildren(isOn ? on : off);
  };
  button.addEventListener("click", () => query.get("devices") !== "none" && show(!button.isOn));
  show(true);
  return button;
}

/** Asked twice, for camera and microphone and for the microphone alone. */
function permission(h, t, replica) {
  const questions = [t.see_you, t.hear_you];
  const question = h("h2", {}, questions[0]);
  const overlay = h(
    "div",
    { class: "ReactModal__Overlay", style: "position:fixed;inset:0;background:#0008;z-index:1000" },
    h(
      "div",
      { role: "dialog", "aria-modal": "true", style: "margin:120px auto;width:480px;background:#fff" },
      question,
      h("p", {}, t.see_you_more),
      h("button", { class: "zm-btn--primary", on: { click: next } }, t.use_devices),
      h("button", { on: { click: next } }, t.without_devices),
    ),
  );
  function next() {
    replica.pressed("permission");
    questions.shift();
    if (questions.length > 0) question.textContent = questions[0];
    else overlay.remove();
  }
  return overlay;
}

function field(h, id, label, type, changed) {
  const input = typed(h("input", { id, type, autocomplete: "off" }), changed);
  return h("div", {}, h("label", { for: id, class: "preview-meeting-info__field-title" }, label), input);
}

/** What a page of reCAPTCHA leaves lying about although nobody is asked anything. */
function idleCaptcha(h) {
  const frame = h("iframe", { title: "recaptcha challenge expires in two minutes", style: "visibility:hidden" });
  frame.width = frame.height = 1;
  return frame;
}

export function drawPrejoin(layer, scene) {
  const { state, h, t, replica, client } = scene;
  const wantsPasscode = !query.get("pwd") || query.get("passcode") === "asked" || state.phase === "passcode_wrong";
  hold(layer, `prejoin ${wantsPasscode}`, () => {
    const held = { name: "", passcode: "" };
    const microphone = toggle(h, "preview-audio-control-button", t.mute, t.unmute);
    const camera = toggle(h, "preview-video-control-button", t.stop_video, t.start_video);
    const isWrong = () => client.asked && replica.state.phase === "passcode_wrong";
    const error = h("div", { class: "preview-meeting-info__error", role: "alert" }, t.passcode_wrong);
    error.hidden = !isWrong();
    const join = h("button", { class: "zm-btn preview-join-button disabled", type: "button", disabled: true }, t.join);
    const changed = (name) => (value) => {
      held[name] = value;
      join.disabled = !held.name || (wantsPasscode && !held.passcode);
      join.classList.toggle(replica.generated("disabled"), join.disabled);
    };
    join.addEventListener("click", async () => {
      join.disabled = true;
      client.asked = true;
      const has = query.get("devices") !== "none";
      await replica.asked({ ...held, microphone: has && microphone.isOn, camera: has && camera.isOn });
      error.hidden = !isWrong();
    });
    return h(
      "div",
      { class: "preview-root preview-root--dark" },
      h("div", { class: "preview-video" }, h("div", { class: "preview-video__control" }, microphone, camera)),
      h(
        "div",
        { class: "preview-meeting-info" },
        h("div", { class: "preview-meeting-info__title" }, t.enter_info),
        wantsPasscode ? field(h, "input-for-pwd", t.passcode, "password", changed("passcode")) : null,
        error,
        field(h, "input-for-name", t.name, "text", changed("name")),
        join,
        h("div", { class: "preview-agreement" }, t.agreement),
        h("div", { class: "recaptcha_tos" }, t.recaptcha),
      ),
      idleCaptcha(h),
      permission(h, t, replica),
    );
  });
}

/** The waiting room stands in the same shell as the meeting, with a button that says "Leave" as well. */
export function drawLobby(layer, { state, h, t, replica }) {
  hold(layer, "lobby", () =>
    h(
      "div",
      { id: "meeting-app", class: "meeting-app" },
      h("div", { class: "meeting-header" }, h("button", { class: "leave-btn", on: { click: replica.cancelled } }, t.leave)),
      h(
        "div",
        { class: "wr-content" },
        h("div", { class: "wr-title" }, state.look.language === "en" ? t.topic : `${t.lobby_title}: ${t.topic}`),
        h("div", { class: "wr-tip" }, h("span", {}, t.lobby)),
      ),
    ),
  );
}
