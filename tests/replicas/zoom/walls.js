/** What only a person gets past. */
import { hold } from "./dom.js";

function captcha({ h, t }) {
  return h(
    "div",
    { class: "component_smart_captcha" },
    h("img", { alt: "captcha", width: 200, height: 60 }),
    h("input", { type: "text", placeholder: t.captcha_hint }),
    h("button", {}, t.captcha_check),
  );
}

function blocked({ h, t }) {
  return h("div", { role: "alert" }, h("p", {}, t.blocked), h("a", { href: "#" }, t.sign_in_to_join));
}

function signIn({ h, t }) {
  return h("div", { role: "alert" }, h("p", {}, t.sign_in), h("button", { class: "login-btn-zoom" }, t.sign_in_button));
}

const WALLS = { captcha, blocked, sign_in: signIn };

export function drawWall(layer, scene) {
  const { state, h, replica } = scene;
  hold(layer, `wall ${state.wall}`, () => [
    WALLS[state.wall](scene),
    h("button", { style: "position:fixed;right:0;top:0", "data-solved": "", on: { click: replica.solved } }, "…"),
  ]);
}
