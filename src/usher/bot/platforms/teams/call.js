/**
 * Runs before Teams' own scripts and listens: to the frames that tell how a call ended, to who is dominant, and to which
 * contributing sources are heard. Changes nothing of what the page sends or gets.
 * `window[Symbol.for("usher.call")]()` returns { end, people, sources, dominant }, or what is known of it:
 *   end       { code, at } of the conversation's end: the sub-code, and milliseconds since the page was opened
 *   people    [{ name, own }] of the page's call object, null while there is none
 *   sources   names by number of a contributing source that was heard in the last minute
 *   dominant  name of who spoke last, by the server, on pages that do not show who speaks
 *
 * Source: Attendee's sources, August 2026: frames "3:::" with JSON { url, headers, body }; end of a conversation in
 * ".../conversation/conversationEnd/", the call's id in the header X-Microsoft-Skype-Chain-ID; data channel
 * "main-channel" with [{ type: "dsh", history: [source, …] }]; the call object with _callId, callerMri and participants,
 * each with id, displayName and hasAudioSource(source).
 */
(() => {
  const NAME = Symbol.for("usher.call");
  if (window[NAME]) return;
  const HEARD_MS = 60_000;
  const MOST_SOURCES = 256;
  const MOST_PEOPLE = 1000;
  const MOST_CHARACTERS = 1_000_000;

  let end = null;
  let dominant = null;
  const heardAt = new Map();

  /** What the page tells may be of any form: whoever reads it wrongly must not disturb the page. */
  const quietly = (read) => (...given) => {
    try {
      return read(...given);
    } catch {
      return null;
    }
  };

  const activeCall = quietly(
    () => window.msteamscalling?.deref?.()?.callingService?.getActiveCall?.() ?? window.callingDebug?.observableCall ?? null,
  );

  async function inflated(encoded) {
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  async function parsed(body) {
    if (typeof body !== "string") return body ?? {};
    return JSON.parse(body.trimStart().startsWith("{") ? body : await inflated(body));
  }

  async function readFrame(data) {
    if (typeof data !== "string" || !data.startsWith("3:::") || data.length > MOST_CHARACTERS) return;
    const { url, headers, body } = JSON.parse(data.slice(4));
    if (!/conversation\/conversationEnd\/?$/.test(url)) return;
    const own = activeCall()?._callId;
    const ended = headers?.["X-Microsoft-Skype-Chain-ID"];
    // Frames of other calls of the same guest come over the same connection.
    if (own && ended && own !== ended) return;
    const at = performance.now();
    end = { code: Number((await parsed(body)).subCode) || 0, at };
  }

  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, given, made) {
      const socket = Reflect.construct(target, given, made);
      socket.addEventListener("message", ({ data }) => readFrame(data).catch(() => null));
      return socket;
    },
  });

  const readChannel = quietly((data) => {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    const start = text.indexOf("[{");
    if (start < 0 || text.length > MOST_CHARACTERS) return;
    const history = JSON.parse(text.slice(start)).find(({ type }) => type === "dsh")?.history;
    if (history?.length) [dominant] = history;
  });

  const { createDataChannel } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.createDataChannel = function (...given) {
    const channel = createDataChannel.apply(this, given);
    if (channel.label === "main-channel") channel.addEventListener("message", ({ data }) => readChannel(data));
    return channel;
  };

  const { getContributingSources } = RTCRtpReceiver.prototype;
  RTCRtpReceiver.prototype.getContributingSources = function () {
    const found = getContributingSources.call(this);
    for (const { source } of found) {
      heardAt.delete(source);
      heardAt.set(source, performance.now());
      if (heardAt.size > MOST_SOURCES) heardAt.delete(heardAt.keys().next().value);
    }
    return found;
  };

  const nameOf = (people, source) => people.find((person) => quietly(() => person.hasAudioSource(source))())?.displayName;

  function sourcesOf(people) {
    const since = performance.now() - HEARD_MS;
    const recent = [...heardAt].filter(([, at]) => at >= since).map(([source]) => [source, nameOf(people, source)]);
    return Object.fromEntries(recent.filter(([, name]) => name));
  }

  const isShown = () => document.querySelector("[data-tid='voice-level-stream-outline']") !== null;

  function seen() {
    const call = activeCall();
    const people = call?.participants ? [...call.participants].slice(0, MOST_PEOPLE).filter((person) => person.displayName) : null;
    return {
      end,
      people: people?.map(({ id, displayName }) => ({ name: displayName, own: id === call.callerMri })) ?? null,
      sources: people ? sourcesOf(people) : {},
      dominant: people && dominant !== null && !isShown() ? nameOf(people, dominant) ?? null : null,
    };
  }

  window[NAME] = quietly(seen);
})();
