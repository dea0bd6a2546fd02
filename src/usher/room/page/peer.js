/**
 * The connection to one other participant, by the "perfect negotiation" pattern of the WebRTC specification
 * (section 10.7): when both sides offer at once, the polite one takes its offer back.
 *
 * There is one audio transceiver for both directions. The newcomer makes it and offers; the other side uses the same.
 */
export class Peer {
  #connection;
  #send;
  #microphone;
  #polite;
  #makingOffer = false;
  #ignoringOffer = false;
  #steps = Promise.resolve();

  constructor({ polite, microphone, send, onTrack }) {
    this.#polite = polite;
    this.#microphone = microphone;
    this.#send = send;
    this.#connection = new RTCPeerConnection();
    this.#connection.onnegotiationneeded = () => this.#offer();
    this.#connection.onicecandidate = ({ candidate }) => this.#sendCandidate(candidate);
    this.#connection.ontrack = ({ track }) => onTrack(track);
    this.#connection.onconnectionstatechange = () => {
      if (this.#connection.connectionState === "failed") this.#connection.restartIce();
    };
  }

  /** Make the first offer. */
  call() {
    const track = this.#microphone.track;
    this.#connection.addTransceiver(track ?? "audio", { direction: track ? "sendrecv" : "recvonly" });
  }

  /** Take one step of the negotiation from the other side; steps are taken strictly one after the other. */
  receive(description, candidate) {
    this.#steps = this.#steps
      .then(() => (description ? this.#takeDescription(description) : this.#takeCandidate(candidate)))
      .catch((error) => console.warn("negotiation step failed:", error.name));
  }

  /** Send the own microphone from now on; asks for a new round of negotiation when nothing was sent before. */
  async startSending() {
    const transceiver = this.#connection.getTransceivers()[0];
    if (transceiver === undefined || this.#microphone.track === null) return;
    await transceiver.sender.replaceTrack(this.#microphone.track);
    transceiver.direction = "sendrecv";
  }

  /** How loud the other side is now, 0 to 1, from the level in its last audio packet; 0 when that is old. */
  level() {
    const receiver = this.#connection.getReceivers()[0];
    const source = receiver?.getSynchronizationSources()[0];
    if (source === undefined || performance.timeOrigin + performance.now() - source.timestamp > 1_000) return 0;
    return source.audioLevel ?? 0;
  }

  /** How loud the own microphone is now, 0 to 1, as it is sent to this side. */
  async ownLevel() {
    const stats = await this.#connection.getSenders()[0]?.getStats();
    for (const report of stats?.values() ?? []) if (report.type === "media-source") return report.audioLevel ?? 0;
    return 0;
  }

  close() {
    this.#connection.close();
  }

  async #offer() {
    try {
      this.#makingOffer = true;
      await this.#connection.setLocalDescription();
      this.#sendDescription();
    } catch (error) {
      console.warn("offer failed:", error.name);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #takeDescription(description) {
    const collides = description.type === "offer" && (this.#makingOffer || this.#connection.signalingState !== "stable");
    this.#ignoringOffer = !this.#polite && collides;
    if (this.#ignoringOffer) return;
    await this.#connection.setRemoteDescription(description);
    if (description.type !== "offer") return;
    await this.startSending();
    await this.#connection.setLocalDescription();
    this.#sendDescription();
  }

  async #takeCandidate(candidate) {
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      if (!this.#ignoringOffer) throw error;
    }
  }

  #sendDescription() {
    const { type, sdp } = this.#connection.localDescription;
    this.#send({ description: { type, sdp } });
  }

  #sendCandidate(candidate) {
    if (!candidate?.candidate) return;
    const { candidate: line, sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    this.#send({ candidate: { candidate: line, sdpMid, sdpMLineIndex, usernameFragment } });
  }
}
