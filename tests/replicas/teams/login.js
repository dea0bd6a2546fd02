/** Where Microsoft has people sign in; when somebody has, the page goes back to where they came from. */
import { connect } from "/replica/static/replica.js";
import { draw, html, obey } from "/replica/site/markup.js";

const form = (texts) => html`<main>
  <h1>${texts.sign_in_title}</h1>
  <input type="email" name="loginfmt" placeholder="Email, phone, or Skype" />
  <input type="submit" value="Next" data-do="solve" />
</main>`;

const replica = await connect({
  draw(state, replica) {
    if (state.wall !== "sign_in") location.assign(new URLSearchParams(location.search).get("redirect_uri"));
    else draw(document.body, form(replica.texts), replica);
  },
});

obey({ solve: () => replica.solved() });
