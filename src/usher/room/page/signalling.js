/** The WebSocket to the room: JSON both ways. */
export class Signalling {
  #url;
  #socket = null;

  constructor(url) {
    this.#url = url;
  }

  open({ onOpen, onMessage, onClose }) {
    this.#socket = new WebSocket(this.#url);
    this.#socket.onopen = onOpen;
    this.#socket.onmessage = ({ data }) => onMessage(JSON.parse(data));
    this.#socket.onclose = onClose;
  }

  /** Send a message; one that comes too early or too late is of no use to anybody and is dropped. */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  close() {
    if (this.#socket === null) return;
    this.#socket.onclose = null;
    this.#socket.close();
  }
}
