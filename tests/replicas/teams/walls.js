/** What stands in a guest's way, and the screens that a visit ends on before it began. */
import { html } from "/replica/site/markup.js";

/** A dialog in front of everything: nothing behind it can be pressed. */
export const overlay = (content) => html`<div data-overlay="true" class="ui-dialog__overlay"><div>${content}</div></div>`;

export const captcha = (texts) =>
  overlay(html`<div role="dialog" aria-modal="true" aria-label="${texts.captcha}">
    <h2>${texts.captcha}</h2>
    <img alt="" width="200" height="60" />
    <input type="text" placeholder="${texts.captcha_field}" />
    <button data-do="solve">OK</button>
  </div>`);

export const notice = (text) => html`<main><h1>${text}</h1></main>`;

/** Goes to where people sign in, and comes back when somebody has. */
export function signIn() {
  const query = new URLSearchParams({ client_id: "5e3ce6c0", response_type: "code", redirect_uri: location.href });
  location.assign(`https://login.microsoftonline.com/common/oauth2/v2.0/authorize?${query}`);
}
