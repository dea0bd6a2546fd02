/** Hands out what it hears as int16 frames of 20 ms. */
registerProcessor(
  "replica-taker",
  class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.frame = new Int16Array(960);
      this.filled = 0;
    }

    process([[input]]) {
      for (let i = 0; i < 128; i++) {
        this.frame[this.filled++] = Math.max(-1, Math.min(1, input?.[i] ?? 0)) * 32767;
        if (this.filled === this.frame.length) {
          this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
          this.frame = new Int16Array(960);
          this.filled = 0;
        }
      }
      return true;
    }
  },
);
