import { Peer } from "./peer.js";

/** The connections to all other participants. */
export class Mesh {
  #peers = new Map();
  #microphone;
  #send;
  #onTrack;

  /** send(id, step) carries a negotiation step; onTrack(id, track) gets what a participant says. */
  constructor({ microphone, send, onTrack }) {
    this.#microphone = microphone;
    this.#send = send;
    this.#onTrack = onTrack;
  }

  /** Connect to a participant who was here before. */
  call(id) {
    this.#add(id, { polite: true }).call();
  }

  /** Be ready for the call of a newcomer. */
  expect(id) {
    this.#add(id, { polite: false });
  }

  receive(id, description, candidate) {
    this.#peers.get(id)?.receive(description, candidate);
  }

  /** The microphone was opened only now: send it to everybody. */
  startSending() {
    this.#peers.forEach((peer) => peer.startSending());
  }

  /** Pairs of participant id and how loud that participant is now, 0 to 1. */
  levels() {
    return [...this.#peers].map(([id, peer]) => [id, peer.level()]);
  }

  /** How loud the own microphone is now, 0 to 1; 0 when nobody is there to hear it. */
  async ownLevel() {
    const [anyPeer] = this.#peers.values();
    return this.#microphone.state === "live" && anyPeer ? anyPeer.ownLevel() : 0;
  }

  drop(id) {
    this.#peers.get(id)?.close();
    this.#peers.delete(id);
  }

  close() {
    [...this.#peers.keys()].forEach((id) => this.drop(id));
  }

  #add(id, { polite }) {
    this.drop(id);
    const peer = new Peer({
      polite,
      microphone: this.#microphone,
      send: (step) => this.#send(id, step),
      onTrack: (track) => this.#onTrack(id, track),
    });
    this.#peers.set(id, peer);
    return peer;
  }
}
