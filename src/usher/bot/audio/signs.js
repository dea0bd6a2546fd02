/**
 * Watches the page's signs of who speaks, ten times a second, and tells the bot of every change, over a WebSocket like
 * that of `capture_worker.js`: {"type": "speaks", "ids": [person ids], "atMs"}.
 *
 * Takes { url, secret, people }: `people` says where the page shows people, as `Knowledge.people` does; `people.js`
 * is put in where it is called. Idempotent: a document is watched once. Changes nothing on the page.
 */
({ url, secret, people: facts }) => {
  const MARK = Symbol.for("signs of who speaks");
  if (document[MARK]) return;
  document[MARK] = true;

  const LOOK_MS = 100;
  const RETRY_MS = 500;
  const MOST_PEOPLE = 1000;
  const nowMs = () => performance.timeOrigin + performance.now();
  const { people } = (__PEOPLE__)(facts);
  const page = crypto.randomUUID();
  let socket = null;
  let told = null;

  function connect() {
    socket = new WebSocket(url);
    socket.onopen = () => {
      socket.send(JSON.stringify({ secret, page, atMs: nowMs() }));
      told = null;
    };
    socket.onclose = () => setTimeout(connect, RETRY_MS);
  }

  function look() {
    const speaking = people(MOST_PEOPLE).filter(({ own, speaks }) => speaks && !own);
    const ids = speaking.map(({ id }) => id).sort();
    const news = JSON.stringify(ids);
    if (news === told || socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify({ type: "speaks", ids, atMs: nowMs() }));
    told = news;
  }

  connect();
  setInterval(look, LOOK_MS);
}
