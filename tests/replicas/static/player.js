/** Plays int16 mono frames in the order in which they come; silence where there are none. */
registerProcessor(
  "replica-player",
  class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.frames = [];
      this.at = 0;
      this.port.onmessage = ({ data }) => {
        this.frames.push(new Int16Array(data));
        if (this.frames.length > 50) this.frames.splice(0, this.frames.length - 5);
      };
    }

    process(_, [[output]]) {
      for (let i = 0; i < output.length; i++) {
        if (this.frames.length === 0) break;
        output[i] = this.frames[0][this.at++] / 32768;
        if (this.at === this.frames[0].length) {
          this.frames.shift();
          this.at = 0;
        }
      }
      return true;
    }
  },
);
