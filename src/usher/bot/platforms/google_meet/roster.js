/**
 * Runs before Google Meet's own scripts: learns who is in the call, and through which contributing source each is heard.
 *
 * Meet tells its page both in protobuf messages: by the data channel `collections` (deflated; joins, and what each device
 * sends) and in answers to SyncMeetingSpaceCollections (base64; everybody, about once a minute, empty if nothing changed).
 * This script reads along. The page gets what it always gets, in the same objects; whatever goes wrong here stays here. A
 * message of another form yields nothing, and the bot goes by what the tiles show.
 * The bot asks for what is known with `window[Symbol.for("usher.roster")]()`:
 *   { people: [{ id, name, own, here, shared }], sources: { "<CSRC>": id } }
 * Source: field numbers as read by Attendee (August 2026) and two browser extensions; confirmed by none of Google's pages.
 */
(() => {
  if (!/(^|\.)meet\.google\.com$/.test(location.hostname) || !window.RTCPeerConnection) return;

  const SYNC = "/google.rtc.meetings.v1.MeetingSpaceService/SyncMeetingSpaceCollections";
  const CHANNEL = "collections";
  const MOST_BYTES = 4 * 1024 * 1024;
  const MOST_FIELDS = 20_000;
  const MOST_PEOPLE = 1000;
  const MOST_SOURCES = 4000;
  const MOST_WAITING = 256;
  const MOST_TEXT = 255;
  // Who has left is told by the next full answer only; without one for this long, nobody without a tile counts as there.
  const BELIEVED_MS = 180_000;
  const IN_THE_CALL = 1;
  const AUDIO = 1;

  const { Blob, DecompressionStream, Map, Promise, Reflect, TextDecoder, Uint8Array, performance } = window;
  const decoder = new TextDecoder();
  const people = new Map();
  const sources = new Map();

  // --- Protobuf: fields of one message, by number ---

  function varint(bytes, at) {
    let value = 0;
    for (let scale = 1; at < bytes.length && scale < 2 ** 63; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return [value, at];
    }
    throw new RangeError("a number without an end");
  }

  function fields(bytes) {
    const found = new Map();
    for (let at = 0, count = 0; at < bytes.length; count++) {
      if (count > MOST_FIELDS) throw new RangeError("too many fields");
      let tag, value;
      [tag, at] = varint(bytes, at);
      const kind = tag % 8;
      if (kind === 0) [value, at] = varint(bytes, at);
      else if (kind === 1 || kind === 5) at += kind === 1 ? 8 : 4;
      else if (kind === 2) {
        let length;
        [length, at] = varint(bytes, at);
        if (at + length > bytes.length) throw new RangeError("a field that is cut off");
        value = bytes.subarray(at, (at += length));
      } else throw new RangeError(`a field of kind ${kind}`);
      const number = Math.floor(tag / 8);
      if (value !== undefined) found.set(number, [...(found.get(number) ?? []).slice(-MOST_PEOPLE), value]);
    }
    return found;
  }

  const messages = (found, number) => (found.get(number) ?? []).filter((value) => typeof value !== "number").map(fields);
  const number = (found, at) => (found.get(at) ?? []).find((value) => typeof value === "number");

  function text(found, at) {
    const bytes = (found.get(at) ?? []).find((value) => typeof value !== "number");
    return bytes ? decoder.decode(bytes).slice(0, MOST_TEXT) : "";
  }

  /** All messages at the end of a path of field numbers. */
  const along = (bytes, path) =>
    path.reduce((found, at) => found.flatMap((message) => messages(message, at)), [fields(bytes)]);

  // --- What the messages say ---

  function keep(map, key, value, most) {
    map.delete(key);
    map.set(key, value);
    if (map.size > most) map.delete(map.keys().next().value);
  }

  function meet(found) {
    const id = text(found, 1);
    if (!id) return;
    const before = people.get(id);
    const status = number(found, 4);
    const person = {
      id,
      name: text(found, 2) || text(found, 29) || before?.name || "",
      own: text(found, 7) !== "" || before?.own || false,
      here: status === undefined ? (before?.here ?? true) : status === IN_THE_CALL,
      shared: found.has(21),
      believedAt: performance.now(),
    };
    keep(people, id, person, MOST_PEOPLE);
  }

  function hearThrough(found) {
    const [id, stream] = [text(found, 6), text(found, 4) || String(number(found, 4) ?? "")];
    if (number(found, 2) === AUDIO && id && /^\d{1,10}$/.test(stream)) keep(sources, stream, id, MOST_SOURCES);
  }

  function takeCollection(bytes) {
    along(bytes, [1, 2, 13, 1, 2]).forEach(meet);
    along(bytes, [1, 2, 3, 2]).forEach(hearThrough);
  }

  function takeSync(bytes) {
    const everybody = along(bytes, [2, 2, 2]);
    for (const person of people.values()) {
      if (everybody.length > 0) person.here = false;
      else person.believedAt = performance.now();
    }
    everybody.forEach(meet);
  }

  // --- Reading along, one message after another ---

  let waiting = 0;
  let last = Promise.resolve();

  function inTurn(work) {
    if (waiting >= MOST_WAITING) return;
    waiting++;
    last = last.then(work).catch(() => {}).finally(() => waiting--);
  }

  async function all(stream) {
    const reader = stream.getReader();
    const parts = [];
    for (let size = 0; ; ) {
      const { done, value } = await reader.read();
      if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
      size += value.length;
      if (size > MOST_BYTES) {
        reader.cancel().catch(() => {});
        throw new RangeError("too long");
      }
      parts.push(value);
    }
  }

  const inflated = (bytes, form) => all(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(form)));

  async function inflate(bytes) {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) return inflated(bytes, "gzip");
    if ((bytes[0] & 15) === 8 && (bytes[0] * 256 + bytes[1]) % 31 === 0) return inflated(bytes, "deflate");
    return inflated(bytes, "deflate-raw").catch(() => bytes);
  }

  async function takeMessage(data) {
    const bytes = new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data);
    if (bytes.length > 0 && bytes.length <= MOST_BYTES) takeCollection(await inflate(bytes));
  }

  function takeAnswer(bytes) {
    const words = decoder.decode(bytes).trim();
    const isBase64 = /^[A-Za-z0-9+/=\s]*$/.test(words);
    takeSync(isBase64 ? Uint8Array.from(atob(words.replace(/\s/g, "")), (letter) => letter.charCodeAt(0)) : bytes);
  }

  // --- Where the messages come by ---

  const attempt = (work) => {
    try {
      work();
    } catch {
      // The page must not notice.
    }
  };

  function listen(channel) {
    if (channel?.label !== CHANNEL) return;
    channel.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") inTurn(() => takeMessage(data));
    });
  }

  const known = new WeakSet();
  function attend(connection) {
    if (known.has(connection)) return;
    known.add(connection);
    connection.addEventListener("datachannel", ({ channel }) => attempt(() => listen(channel)));
  }

  /** Read a copy of an answer; outside of the queue, since one may never end. */
  function follow(answer) {
    if (!answer.url.includes(SYNC) || !answer.ok || !answer.body) return;
    all(answer.clone().body).then((bytes) => inTurn(() => takeAnswer(bytes)), () => {});
  }

  /** Let `then` see each call of `owner[name]`; a proxy looks like the native function, also by toString. */
  function watch(owner, name, then) {
    owner[name] = new Proxy(owner[name], {
      apply(target, self, parameters) {
        const result = Reflect.apply(target, self, parameters);
        attempt(() => then(self, result));
        return result;
      },
    });
  }

  const connections = window.RTCPeerConnection.prototype;
  watch(connections, "createDataChannel", (_, channel) => listen(channel));
  // Every connection passes here before a channel of the other side can open.
  watch(connections, "setRemoteDescription", (connection) => attend(connection));
  watch(window, "fetch", (_, promise) => {
    promise.then((answer) => attempt(() => follow(answer)), () => {});
  });

  Object.defineProperty(window, Symbol.for("usher.roster"), {
    value: () => ({
      people: [...people.values()].map(({ believedAt, ...person }) => ({
        ...person,
        here: person.here && performance.now() - believedAt < BELIEVED_MS,
      })),
      sources: Object.fromEntries([...sources].filter(([, id]) => !people.get(id)?.shared)),
    }),
  });
})();
