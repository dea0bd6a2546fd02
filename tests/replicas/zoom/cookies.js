/** OneTrust's banner: it lies over the lower half of the page until it is answered, once for all of the platform's hosts. */
const ANSWERED = "OptanonAlertBoxClosed";

export const isAnswered = () => document.cookie.includes(`${ANSWERED}=`);

export function banner(h, t, answered) {
  if (isAnswered()) return null;
  const answer = (how) => () => {
    document.cookie = `${ANSWERED}=1; domain=zoom.us; path=/; secure`;
    shown.remove();
    answered(how);
  };
  // The banner's own names are OneTrust's: they stay when Zoom's class names change.
  const button = (id, text, how) => {
    const made = h("button", { on: how ? { click: answer(how) } : {} }, text);
    made.id = id;
    return made;
  };
  const shown = h(
    "div",
    {
      role: "region",
      "aria-label": "Cookie banner",
      style: "position:fixed;left:0;right:0;bottom:0;height:60%;background:#fff;z-index:2147483645;border-top:1px solid",
    },
    h("p", {}, t.cookies),
    button("onetrust-pc-btn-handler", t.cookies_settings, null),
    button("onetrust-reject-all-handler", t.cookies_reject, "rejected"),
    button("onetrust-accept-btn-handler", t.cookies_accept, "accepted"),
  );
  shown.id = "onetrust-banner-sdk";
  return shown;
}
