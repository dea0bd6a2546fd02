/** The messages by which Meet tells its page who is there, encoded as the real ones are. */

const utf8 = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** One message: [field number, number | string | message], … ; a message is what this returns. */
export function message(...fields) {
  return Uint8Array.from(
    fields.flatMap(([number, value]) => {
      if (typeof value === "number") return [...varint(number * 8), ...varint(value)];
      const bytes = typeof value === "string" ? utf8.encode(value) : value;
      return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
    }),
  );
}

const person = ({ device, name, own, here, host }) =>
  message(
    [1, device],
    [2, name],
    [3, "https://lh3.googleusercontent.com/a/x"],
    [4, here ? 1 : 6],
    ...(own ? [[7, "true"]] : []),
    [29, name],
    ...(host ? [[34, 1]] : []),
  );

const output = ({ device, source }, kind, stream) =>
  message([1, 99], [2, kind], [4, stream ?? String(source)], [6, device], [10, message([1, 0])]);

/** What the channel `collections` brings: people of whom there is news, and through what each is heard. */
export const collection = (people) =>
  message(
    [
      1,
      message([
        2,
        message(
          [3, message(...people.filter((who) => who.source).flatMap((who) => [[2, output(who, 2, "77")], [2, output(who, 1)]]))],
          [13, message([1, message([1, message([1, 7])], ...people.map((who) => [2, person(who)]))])],
        ),
      ]),
    ],
  );

/** The answer to SyncMeetingSpaceCollections: everybody, or nothing where nothing changed. */
export const everybody = (people) =>
  message([1, message([1, 3])], [2, message([2, message(...people.map((who) => [2, person(who)]))])]);

export const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

export async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}
