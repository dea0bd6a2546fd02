/**
 * Runs in a worker of the capture script: makes 16 kHz mono of the page's tracks, counts every sample, and carries all
 * of it to the bot. A page that is busy holds up nothing here.
 *
 * From the capture script: {type: "start", url, secret, page}, {type: "hear", id, trackId, kind, readable},
 * {type: "tell", news}. To it: {type: "tick", atMs, tracks: [[id, position, zerosMs, idleMs],
 * …]} every 100 ms.
 *
 * Over one WebSocket to the bot, messages of one page being numbered by their order, across connections:
 *   text    {"secret", "page", "atMs"} first; the bot answers {"received"}, how many messages it has of this page;
 *           {"type": "resume", "from", "tracks"} says which number comes next and what is heard now;
 *           then news: {"type": "track", "id", "trackId", "kind", "atMs"}, {"type": "ended", "id"},
 *           {"type": "sources", "id", "position", "heard": [[csrc, level], …]}, {"type": "deaf", "id", "times"}
 *   binary  uint32 id, float64 position of the first sample, float32 samples (little endian)
 *
 * Source: measured on Chromium 156, November 2026.
 */
const RATE = 16_000;
const FRAME = 1_600;
const TICK_MS = 100;
const RETRY_MS = 500;
const KEPT_MESSAGES = 600;
const MOST_UNSENT_BYTES = 8 * 1024 * 1024;
const LAG_LOOK_MS = 500;
const LAG_MS = 100;

const nowMs = () => performance.timeOrigin + performance.now();

/** The connection to the bot. What was sent last is kept, and sent again to a bot that did not get it. */
class Line {
  #address;
  #socket = null;
  #open = false;
  #kept = [];
  #first = 0;

  constructor(address) {
    this.#address = address;
    this.#connect();
  }

  tell(news) {
    this.send(JSON.stringify(news));
  }

  send(message) {
    this.#kept.push(message);
    if (this.#kept.length > KEPT_MESSAGES) {
      this.#kept.shift();
      this.#first += 1;
    }
    if (!this.#open) return;
    // A bot that does not read has to come back and say how far it is; the page does not run out of memory.
    if (this.#socket.bufferedAmount > MOST_UNSENT_BYTES) this.#drop();
    else this.#socket.send(message);
  }

  #connect() {
    const { url, secret, page } = this.#address;
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#socket.send(JSON.stringify({ secret, page, atMs: nowMs() }));
    this.#socket.onmessage = ({ data }) => this.#resume(JSON.parse(data).received);
    this.#socket.onclose = () => {
      this.#open = false;
      setTimeout(() => this.#connect(), RETRY_MS);
    };
  }

  #resume(received) {
    const from = Math.max(received, this.#first);
    const tracks = [...ears.values()].flatMap((ear) => ear.news ?? []);
    this.#socket.send(JSON.stringify({ type: "resume", from, tracks }));
    this.#kept.slice(from - this.#first).forEach((message) => this.#socket.send(message));
    this.#open = true;
  }

  #drop() {
    this.#open = false;
    this.#socket.close();
  }
}

/** Any rate to 16 kHz by a windowed sinc, without a break between the pieces. */
class Resampler {
  static #CUTOFF_HZ = 7_400;
  static #PHASES = 64;
  #step;
  #taps;
  #filters;
  #held;
  #next = 0;

  constructor(rate) {
    this.rate = rate;
    this.#step = rate / RATE;
    this.#taps = 2 * Math.ceil(6 * Math.max(1, this.#step));
    const phases = Number.isInteger(this.#step) ? 1 : Resampler.#PHASES;
    this.#filters = Array.from({ length: phases }, (_, phase) => this.#filter(phase / phases));
    this.#held = new Float32Array(this.#taps - 1);
  }

  /** Take samples of the old rate and hand each of the new one to `take`. */
  push(input, take) {
    const taps = this.#taps;
    const samples = new Float32Array(this.#held.length + input.length);
    samples.set(this.#held);
    samples.set(input, this.#held.length);
    const last = samples.length - taps;
    let next = this.#next;
    for (let whole = Math.floor(next); whole <= last; whole = Math.floor(next)) {
      const filter = this.#filters[Math.floor((next - whole) * this.#filters.length)];
      let sum = 0;
      for (let i = 0; i < taps; i++) sum += filter[i] * samples[whole + i];
      take(sum);
      next += this.#step;
    }
    const used = Math.min(Math.floor(next), samples.length);
    this.#held = samples.subarray(used);
    this.#next = next - used;
  }

  #filter(shift) {
    const cutoff = Math.min(Resampler.#CUTOFF_HZ / this.rate, 0.5);
    const middle = (this.#taps - 1) / 2 + shift;
    const filter = Float32Array.from({ length: this.#taps }, (_, i) => {
      const x = i - middle;
      const window = 0.54 + 0.46 * Math.cos((Math.PI * x) / (this.#taps / 2 + 1));
      return window * (x === 0 ? 2 * cutoff : Math.sin(2 * Math.PI * cutoff * x) / (Math.PI * x));
    });
    const total = filter.reduce((sum, value) => sum + value, 0);
    return filter.map((value) => value / total);
  }
}

/**
 * Finds out how much of the time never came as sound. Sound comes late where the machine is busy, and then all at once:
 * only what stays late for half a second is missing.
 */
class LagWatch {
  #startMs = null;
  #leastMs = 0;
  #producedMs = 0;
  #windowMs = 0;
  #windowLeastMs = Infinity;

  /** Take note of sound that has just come; return how many milliseconds are missing before it. */
  note(durationMs) {
    const now = performance.now();
    this.#producedMs += durationMs;
    this.#startMs ??= now - durationMs;
    const lagMs = now - this.#startMs - this.#producedMs;
    this.#leastMs = Math.min(this.#leastMs, lagMs);
    this.#windowLeastMs = Math.min(this.#windowLeastMs, lagMs);
    if (now - this.#windowMs < LAG_LOOK_MS) return 0;
    const missingMs = this.#windowLeastMs - this.#leastMs;
    this.#windowMs = now;
    this.#windowLeastMs = Infinity;
    if (!(missingMs > LAG_MS) || missingMs === Infinity) return 0;
    this.#producedMs += missingMs;
    return missingMs;
  }
}

/** One track; `news` is what the bot is told of it, from the first sound on. */
class Ear {
  news = null;
  #line;
  #reader = null;
  #resampler = null;
  #lag = new LagWatch();
  #frame = new Float32Array(FRAME);
  #filled = 0;
  #start = 0;
  #cameAt = performance.now();
  #soundAt = performance.now();
  #about;

  constructor(about, line) {
    this.#about = about;
    this.#line = line;
  }

  get position() {
    return this.#start + this.#filled;
  }

  /** For how long nothing at all has come. */
  get idleMs() {
    return performance.now() - this.#cameAt;
  }

  /** For how long nothing but zeros has come, or nothing at all. */
  get zerosMs() {
    return performance.now() - this.#soundAt;
  }

  /** Read until the track is over, or is attached anew. Returns whether it is over. */
  async read(readable) {
    const before = this.#reader;
    const reader = (this.#reader = readable.getReader());
    before?.cancel().catch(() => {});
    for (;;) {
      const { value, done } = await reader.read();
      if (this.#reader !== reader) {
        value?.close();
        return false;
      }
      if (done) break;
      this.#take(value);
      value.close();
    }
    this.#hand();
    return true;
  }

  #take(data) {
    this.#cameAt = performance.now();
    const durationMs = (data.numberOfFrames / data.sampleRate) * 1000;
    if (this.#resampler === null) {
      this.news = { type: "track", ...this.#about, atMs: nowMs() - durationMs };
      this.#line.tell(this.news);
    }
    if (this.#resampler?.rate !== data.sampleRate) this.#resampler = new Resampler(data.sampleRate);
    const missing = Math.round((this.#lag.note(durationMs) * RATE) / 1000);
    if (missing > 0) {
      this.#hand();
      this.#start += missing;
    }
    this.#resampler.push(mono(data), this.#put);
  }

  #put = (sample) => {
    this.#frame[this.#filled++] = sample;
    if (this.#filled === FRAME) this.#hand();
  };

  /** Hand on what there is of a frame. */
  #hand() {
    if (this.#filled === 0) return;
    const samples = this.#frame.subarray(0, this.#filled);
    if (samples.some((sample) => sample !== 0)) this.#soundAt = performance.now();
    const message = new ArrayBuffer(12 + samples.byteLength);
    const header = new DataView(message);
    header.setUint32(0, this.#about.id, true);
    header.setFloat64(4, this.#start, true);
    new Uint8Array(message, 12).set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
    this.#line.send(message);
    this.#start += this.#filled;
    this.#filled = 0;
  }
}

let plane = new Float32Array(0);

/** All channels in one; good until the next call. */
function mono(data) {
  const count = data.numberOfFrames;
  if (plane.length < count) plane = new Float32Array(count);
  if (data.numberOfChannels === 1) {
    data.copyTo(plane.subarray(0, count), { planeIndex: 0, format: "f32-planar" });
    return plane.subarray(0, count);
  }
  const mixed = new Float32Array(count);
  for (let channel = 0; channel < data.numberOfChannels; channel++) {
    const one = plane.subarray(0, count);
    data.copyTo(one, { planeIndex: channel, format: "f32-planar" });
    for (let i = 0; i < count; i++) mixed[i] += one[i] / data.numberOfChannels;
  }
  return mixed;
}

const ears = new Map();
let line = null;

async function hear({ id, trackId, kind, readable }) {
  const known = ears.get(id);
  const ear = known ?? new Ear({ id, trackId, kind }, line);
  ears.set(id, ear);
  const over = await ear.read(readable).catch(() => ears.get(id) === ear);
  if (!over) return;
  ears.delete(id);
  line.tell({ type: "ended", id });
  postMessage({ type: "ended", id });
}

function tick() {
  if (ears.size === 0) return;
  const tracks = [...ears].map(([id, ear]) => [id, ear.position, ear.zerosMs, ear.idleMs]);
  postMessage({ type: "tick", atMs: nowMs(), tracks });
}

onmessage = ({ data }) => {
  if (data.type === "hear") hear(data);
  else if (data.type === "tell") line.tell(data.news);
  else if (data.type === "start") {
    line = new Line(data);
    setInterval(tick, TICK_MS);
  }
};
