/** The web app around the client: a frame, and the cookie banner, which belongs to the page on top. */
import { banner, isAnswered } from "./cookies.js";
import { maker } from "./dom.js";

const inside = new URLSearchParams(location.search);
inside.delete("fromPWA");
const frame = document.createElement("iframe");
frame.id = "webclient";
frame.allow = "microphone; camera; autoplay";
frame.src = `${location.pathname}?${inside}`;
document.body.append(frame);

if (!isAnswered()) {
  const texts = await fetch("/replica/site/texts.json").then((answer) => answer.json());
  const h = maker({ generated: (name) => name });
  document.body.append(banner(h, texts.en, (how) => frame.contentWindow.postMessage({ cookies: how }, location.origin)));
}
