/** The launcher: its whole aim is the app; the way on in the browser appears once the app did not open. */
import { connect } from "/replica/static/replica.js";
import { banner } from "./cookies.js";
import { hold, maker } from "./dom.js";

const [, , meeting] = location.pathname.split("/");

function client() {
  const query = new URLSearchParams(location.search);
  query.set("fromPWA", "1");
  return `https://app.zoom.us/wc/${meeting}/join?${query}`;
}

function draw(state, replica) {
  hold(document.body, "launch", () => {
    const h = maker(replica);
    const t = replica.texts;
    const onward = h("div", { style: "display:none" });
    const show = () => (onward.style.display = "block");
    const link = h("a", { href: "#", role: "link" }, t.from_browser);
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      await replica.pressed("continue_in_browser");
      location.assign(client());
    });
    onward.append(link);
    return [
      h("h1", {}, t.launch_title),
      h("div", { role: "button", tabindex: "0", class: "mbTuDeF1", on: { click: show } }, t.launch),
      h("a", { href: "#", role: "button", on: { click: (event) => (event.preventDefault(), show()) } }, t.download),
      onward,
      banner(h, t, (how) => replica.pressed(`cookies ${how}`)),
    ];
  });
}

await connect({ draw });
