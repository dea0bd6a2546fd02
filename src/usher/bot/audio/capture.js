/**
 * Runs in every frame before the meeting's own scripts: hands every remote audio track, apart from the others, to the
 * bot, and what the page plays otherwise as tracks of the kind "output". Needs nothing of the page.
 *
 * Each remote track is read in a worker, `capture_worker.js`, which says what goes to the bot. Chromium delivers nothing
 * of a track that no media element plays: where the page plays none, a muted one of our own does, from then on. Every
 * 100 ms this side looks at which contributing sources (RFC 3550) are heard in each track. The page's own constructors
 * and methods stay what they are, for all it can see.
 *
 * Source: measured on Chromium 156, November 2026.
 */
(() => {
  const config = __CONFIG__;
  if (!window.RTCPeerConnection || !window.MediaStreamTrackProcessor) return;

  const { Audio, Blob, MediaStream, MediaStreamTrackProcessor, Worker } = window;
  const RATE = 16_000;
  const QUEUE_FRAMES = 500;
  const SOURCE_AGE_MS = 150;
  const LEAST_SHARE = 0.25;
  const IDLE_MS = 250;
  const DEAF_MS = 3_000;
  const DEAF_PACKETS = 20;
  const MOST_HEALINGS = 3;

  const nowMs = () => performance.timeOrigin + performance.now();
  const tracks = new Map();
  const heard = new WeakSet();
  let count = 0;
  let worker = null;

  /** The worker, from the first track on: most frames of a page have none. */
  function capturing() {
    if (worker !== null) return worker;
    worker = new Worker(URL.createObjectURL(new Blob([config.worker], { type: "text/javascript" })));
    worker.onmessage = ({ data }) => (data.type === "tick" ? look(data) : forget(data.id));
    worker.postMessage({ type: "start", url: config.url, secret: config.secret, page: crypto.randomUUID() });
    return worker;
  }

  function listen(track, kind, receiver = null) {
    if (heard.has(track) || track.readyState === "ended") return;
    heard.add(track);
    const one = { id: ++count, track, kind, receiver, element: null, sources: "", healings: 0, packets: null };
    tracks.set(one.id, one);
    attach(one);
  }

  function attach(one) {
    const { readable } = new MediaStreamTrackProcessor({ track: one.track, maxBufferSize: QUEUE_FRAMES });
    capturing().postMessage({ type: "hear", id: one.id, trackId: one.track.id, kind: one.kind, readable }, [readable]);
  }

  /** Keep a remote track flowing: nobody hears the element, but it asks for sound. */
  function pull(track) {
    const element = new Audio();
    const play = () => element.play().catch(() => {});
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    element.addEventListener("pause", play);
    play();
    return element;
  }

  function forget(id) {
    const one = tracks.get(id);
    tracks.delete(id);
    if (one) letGo(one);
  }

  function letGo(one) {
    if (one.element !== null) one.element.srcObject = null;
    one.element = null;
  }

  /** Who is in the remote tracks now, and whether all of them are alive. */
  function look({ atMs, tracks: positions }) {
    const lateMs = nowMs() - atMs;
    for (const [id, position, zerosMs, idleMs] of positions) {
      const one = tracks.get(id);
      if (!one?.receiver) continue;
      if (idleMs > IDLE_MS) one.element ??= pull(one.track);
      tellSources(one, Math.round(position + (lateMs * RATE) / 1000));
      if (zerosMs > DEAF_MS && one.healings < MOST_HEALINGS) healIfDeaf(one);
      else one.packets = null;
    }
  }

  function tellSources(one, position) {
    const recent = one.receiver
      .getContributingSources()
      .filter(({ timestamp }) => ageMs(timestamp) < SOURCE_AGE_MS)
      .map(({ source, audioLevel }) => [source, Math.round((audioLevel ?? 1) * 1000) / 1000]);
    const loudest = Math.max(0, ...recent.map(([, level]) => level));
    // Chromium gives all sources of a packet the packet's level; where levels differ, the quiet ones are not speaking.
    const sources = recent.filter(([, level]) => level > 0 && level >= loudest * LEAST_SHARE);
    const heard = sources.map(([source]) => source).sort().join();
    if (heard === one.sources) return;
    one.sources = heard;
    worker.postMessage({ type: "tell", news: { type: "sources", id: one.id, position, heard: sources } });
  }

  /** Versions of Chromium count from the epoch or from the page's beginning. */
  const ageMs = (timestamp) => Math.min(Math.abs(nowMs() - timestamp), Math.abs(performance.now() - timestamp));

  /** Packets with sound come in, but only zeros come out: attach the track anew. */
  async function healIfDeaf(one) {
    const since = performance.now();
    if (one.packets !== null && since - one.packets.at < DEAF_MS) return;
    const before = one.packets;
    one.packets = { at: since, count: before?.count ?? Infinity };
    const stats = await one.receiver.getStats().catch(() => new Map());
    const inbound = [...stats.values()].find(({ type }) => type === "inbound-rtp");
    if (one.packets === null || !tracks.has(one.id)) return;
    one.packets.count = inbound?.packetsReceived ?? 0;
    const seconds = before === null ? 1 : (since - before.at) / 1000;
    const flowing = before !== null && one.packets.count - before.count >= DEAF_PACKETS * seconds;
    if (!flowing || isSilent(one.receiver)) return;
    one.healings += 1;
    one.packets = null;
    worker.postMessage({ type: "tell", news: { type: "deaf", id: one.id, times: one.healings } });
    letGo(one);
    attach(one);
    one.element = pull(one.track);
  }

  /** The packets themselves say that nothing is to be heard: somebody is muted. */
  function isSilent(receiver) {
    const level = receiver.getSynchronizationSources()[0]?.audioLevel;
    return level !== undefined && level < 0.001;
  }

  /** Put a function in the place of another; what the page can ask of it is answered by the original. */
  function wrap(owner, name, handler) {
    if (!owner?.[name]) return;
    const property = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, { ...property, value: new Proxy(property.value, handler) });
  }

  function hearConnections() {
    wrap(window, "RTCPeerConnection", {
      construct(target, args, newTarget) {
        const connection = Reflect.construct(target, args, newTarget);
        connection.addEventListener("track", ({ track, receiver }) => {
          if (track.kind === "audio") listen(track, "remote", receiver);
        });
        return connection;
      },
    });
    const wrapped = window.RTCPeerConnection;
    wrapped.prototype.constructor = wrapped;
    if (window.webkitRTCPeerConnection) window.webkitRTCPeerConnection = wrapped;
  }

  /** What goes to the loudspeakers of an audio graph. */
  function hearGraphs() {
    const taps = new WeakMap();
    const isSpeaker = (node) => node instanceof AudioDestinationNode && !(node.context instanceof OfflineAudioContext);
    const tapOf = (speaker) => {
      if (!taps.has(speaker)) taps.set(speaker, speaker.context.createMediaStreamDestination());
      const tap = taps.get(speaker);
      tap.stream.getAudioTracks().forEach((track) => listen(track, "output"));
      return tap;
    };
    wrap(AudioNode.prototype, "connect", {
      apply(target, node, args) {
        const result = Reflect.apply(target, node, args);
        if (isSpeaker(args[0])) Reflect.apply(target, node, [tapOf(args[0]), ...args.slice(1)]);
        return result;
      },
    });
    wrap(AudioNode.prototype, "disconnect", {
      apply(target, node, args) {
        const result = Reflect.apply(target, node, args);
        if (isSpeaker(args[0])) Reflect.apply(target, node, [tapOf(args[0]), ...args.slice(1)]);
        return result;
      },
    });
  }

  /** What media elements play. */
  function hearElements() {
    const hearElement = (element) => {
      if (element.muted || element.volume === 0) return;
      const { srcObject } = element;
      if (srcObject instanceof MediaStream) srcObject.getAudioTracks().forEach((track) => listen(track, "output"));
      else if (!captured.has(element)) hearFile(element);
    };
    const captured = new WeakSet();
    const hearFile = (element) => {
      try {
        const stream = element.captureStream();
        captured.add(element);
        stream.getAudioTracks().forEach((track) => listen(track, "output"));
        stream.addEventListener("addtrack", ({ track }) => track.kind === "audio" && listen(track, "output"));
      } catch {
        // Protected media cannot be heard.
      }
    };
    const onPlaying = ({ target }) => target instanceof HTMLMediaElement && hearElement(target);
    document.addEventListener("playing", onPlaying, true);
    wrap(HTMLMediaElement.prototype, "play", {
      apply(target, element, args) {
        if (!element.isConnected) element.addEventListener("playing", () => hearElement(element), { once: true });
        return Reflect.apply(target, element, args);
      },
    });
  }

  hearConnections();
  hearGraphs();
  hearElements();
})();
