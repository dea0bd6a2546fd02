/** The page that an invitation opens: it would rather have the app, and leads to the client in the browser. */
import { connect } from "/replica/static/replica.js";
import { draw, html, obey } from "/replica/site/markup.js";
import { captcha, notice, signIn } from "/replica/site/walls.js";

const launcher = (texts) => html`<main>
  <h1>${texts.launcher_title}</h1>
  <button data-tid="joinInApp" class="btn primary" data-do="app">${texts.open_app}</button>
  <button data-tid="joinOnWeb" class="btn primary" aria-label="${texts.continue_in_browser_label}" data-do="browser">
    <span>${texts.continue_in_browser}</span>
  </button>
</main>`;

function screen(state, texts) {
  if (state.phase === "not_found") return notice(texts.not_found);
  if (state.wall === "captcha") return captcha(texts);
  return launcher(texts);
}

const replica = await connect({
  draw(state, replica) {
    document.documentElement.lang = state.look.language;
    if (state.wall === "sign_in") signIn();
    else draw(document.body, screen(state, replica.texts), replica);
  },
});

obey({
  app: () => replica.pressed("app"),
  solve: () => replica.solved(),
  async browser() {
    await replica.pressed("continue_in_browser");
    const address = new URLSearchParams(location.search).get("url").split("#")[1];
    location.assign(`/light-meetings/launch?anon=true&launchAgent=join_launcher#${address}`);
  },
});
