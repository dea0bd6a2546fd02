// Runs before the scripts of the page: a microphone that is a tone, a camera that is an empty picture.
(() => {
  if (!navigator.mediaDevices) return;

  async function hum() {
    const context = new AudioContext();
    await context.resume();
    const tone = new OscillatorNode(context, { frequency: HUM_HZ });
    const microphone = context.createMediaStreamDestination();
    tone.connect(new GainNode(context, { gain: 0.3 })).connect(microphone);
    tone.start();
    return microphone.stream;
  }

  function picture() {
    const canvas = document.createElement("canvas");
    canvas.getContext("2d");
    return canvas.captureStream(1);
  }

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const streams = [...(audio ? [await hum()] : []), ...(video ? [picture()] : [])];
    return new MediaStream(streams.flatMap((stream) => stream.getTracks()));
  };
})();
