/** Tells the page who is there, as Meet's servers do: the other end of a peer connection within the page, and a fetch. */
import { base64, collection, deflated, everybody } from "/replica/site/protocol.js";

const SYNC = "https://meet.google.com/$rpc/google.rtc.meetings.v1.MeetingSpaceService/SyncMeetingSpaceCollections";
// About once a minute in truth.
const SYNC_MS = 2000;
const SPACE = "spaces/wLk2fQ0tN1UB/devices";

export const device = (person) => `${SPACE}/${person.id === "bot" ? 901 : person.id}`;

const described = (person, here = true) => ({ ...person, device: device(person), own: person.self, here });

async function join(page, server) {
  page.addEventListener("icecandidate", ({ candidate }) => candidate && server.addIceCandidate(candidate));
  server.addEventListener("icecandidate", ({ candidate }) => candidate && page.addIceCandidate(candidate));
  await server.setLocalDescription(await server.createOffer());
  await page.setRemoteDescription(server.localDescription);
  await page.setLocalDescription(await page.createAnswer());
  await server.setRemoteDescription(page.localDescription);
}

/** Begin to tell; `people()` returns those who are there now. The page's own handler notes what it got, in `heard`. */
export async function tellRoster(people, heard) {
  const [page, server] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const channel = server.createDataChannel("collections");
  server.createDataChannel("meet_messages");
  page.ondatachannel = ({ channel: opened }) => {
    opened.binaryType = "arraybuffer";
    opened.onmessage = ({ data }) => heard.push([opened.label, data.byteLength]);
  };
  let known = "";
  let synced = "";

  async function news() {
    const now = people().map((person) => described(person));
    const key = JSON.stringify(now.map(({ device, name, source }) => [device, name, source]));
    if (channel.readyState !== "open" || key === known || now.length === 0) return;
    known = key;
    // Who has left is not told here, only by the next full answer.
    channel.send(await deflated(collection(now)));
  }

  async function sync() {
    const now = people().map((person) => described(person));
    const key = JSON.stringify(now.map(({ device, name }) => [device, name]));
    const told = key === synced ? "" : base64(everybody(now));
    synced = key;
    const answer = await fetch(`${SYNC}?told=${encodeURIComponent(told)}`);
    heard.push(["sync", (await answer.text()).length]);
  }

  channel.addEventListener("open", news);
  setInterval(() => sync().catch(() => {}), SYNC_MS);
  await join(page, server);
  await sync();
  return { news };
}
