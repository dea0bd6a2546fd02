/** What appears over the page: dialogs and toasts that a guest puts away, and how it ends. */

function overlay(h, blocking, ...content) {
  const place = blocking ? "inset:0;background:#0008" : "top:58px;left:30%;width:40%";
  return h("div", { class: "ReactModal__Overlay", style: `position:fixed;${place};z-index:1030;padding-top:80px` }, ...content);
}

function modal({ h }, title, more, ...buttons) {
  return overlay(
    h,
    true,
    h(
      "div",
      { class: "zm-modal zm-modal-legacy", role: "dialog", style: "margin:auto;width:480px;background:#fff" },
      h("div", { class: "zm-modal-body-title" }, title),
      more ? h("div", { class: "zm-modal-body-content" }, more) : null,
      ...buttons,
    ),
  );
}

function toast({ h, t, replica }, name, text) {
  const close = h(
    "i",
    { class: "notification-message-wrap__close", role: "button", "aria-label": t.close, on: { click: () => replica.dismissed(name) } },
    "×",
  );
  return h(
    "div",
    { class: "notification-message-wrap", style: "position:fixed;top:58px;left:30%;width:40%;background:#000e;color:#fff;z-index:999" },
    h("div", { class: "notification-message-wrap__layer" }, text, close),
  );
}

function button({ h, replica }, name, text, primary = false) {
  const made = h("button", { class: primary ? "zm-btn zm-btn--primary" : "zm-btn", on: { click: () => replica.dismissed(name) } }, text);
  made.style.cssText = "padding:6px 20px";
  return made;
}

/** Each by its name; the wrong button of one that has two does something that a guest does not want. */
const DIALOGS = {
  disclaimer(scene) {
    const agree = scene.h("button", { id: "disclaimer_agree", class: "zm-btn zm-btn--primary" }, scene.t.agree);
    agree.addEventListener("click", () => scene.replica.dismissed("disclaimer"));
    return modal(scene, scene.t.disclaimer, "", agree, leaving(scene, scene.t.cancel));
  },
  recorded(scene) {
    const { t } = scene;
    return modal(scene, t.recorded, t.recorded_more, leaving(scene, t.leave_meeting), button(scene, "recorded", t.got_it, true));
  },
  unmute(scene) {
    const live = scene.h("button", { class: "zm-btn zm-btn--primary" }, scene.t.unmute);
    live.addEventListener("click", () => scene.replica.pressed("unmuted"));
    return modal(scene, scene.t.unmute_asked, "", live, button(scene, "unmute", scene.t.stay_muted));
  },
  no_camera: (scene) => toast(scene, "no_camera", scene.t.no_camera),
  no_microphone: (scene) => toast(scene, "no_microphone", scene.t.no_microphone),
};

function leaving({ h, replica, state }, text) {
  const gone = state.phase === "inside" ? replica.left : replica.cancelled;
  return h("button", { class: "zm-btn zm-btn--default", on: { click: gone } }, text);
}

export function drawDialogs(layer, scene) {
  layer.shown ??= new Map();
  for (const [name, element] of layer.shown) {
    if (scene.state.dialogs.includes(name)) continue;
    element.remove();
    layer.shown.delete(name);
  }
  for (const name of scene.state.dialogs) {
    if (layer.shown.has(name) || !DIALOGS[name]) continue;
    const element = DIALOGS[name](scene);
    layer.shown.set(name, element);
    layer.append(element);
  }
}

/** How a visit ends is told by a window over the page, which stays as it was. */
export function drawEnd(layer, scene) {
  const { state, h, t } = scene;
  const told = { removed: t.removed, denied: t.denied, ended: t.ended, lost: t.lost }[state.phase];
  if (layer.told === (told ?? "")) return;
  layer.told = told ?? "";
  const home = () => window.top.location.assign("https://app.zoom.us/wc");
  layer.replaceChildren();
  if (told) layer.append(modal(scene, told, "", h("button", { class: "zm-btn zm-btn--primary", on: { click: home } }, t.ok)));
}
