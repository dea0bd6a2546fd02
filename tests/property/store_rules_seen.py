"""Rules of the model test: orders to bots, and what bots see of a page."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.property.store_sides import EPOCH, SOME, SPANS, Side, TwoStores

from usher.ports import Order, StoredCommand
from usher.protocol.chat import SeenLine
from usher.protocol.evidence import Evidence

_Line = tuple[str, str]


class SeenRules(TwoStores):
    """Orders, shows evidence, tells of chat, and looks at all of it."""

    @rule(
        meeting=SOME, action=st.sampled_from(["chat", "rename"]), text=st.sampled_from(["hello", "a\x00b"]), span=SPANS
    )
    def order(self, meeting: int, action: str, text: str, span: float) -> None:
        number = meeting % len(self.sides[0].meetings)

        async def ordered(side: Side) -> StoredCommand | str:
            written = await side.store.order(Order(side.meetings[number], action, text, span))
            return written if isinstance(written, StoredCommand) else written.value

        self.both(ordered)
        self.compare(number)

    @rule(choice=SOME, step=st.sampled_from(["look", "a\x00b"]), picture=st.booleans())
    def exhibit(self, choice: int, step: str, picture: bool) -> None:
        connection_id = self.connections[choice % len(self.connections)]
        evidence = Evidence(step=step, tree=step, screenshot=b"\xff\xd8\xff" if picture else None)
        self.both(lambda side: side.store.exhibit(connection_id, evidence))

    @rule(choice=SOME, lines=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=4))
    def write_chat(self, choice: int, lines: list[_Line]) -> None:
        connection_id = self.connections[choice % len(self.connections)]
        seen = [SeenLine(line_id=line_id, text=text, ago_s=0) for line_id, text in lines]

        async def saved(side: Side) -> list[object] | None:
            kept = await side.store.save_chat(connection_id, seen)
            return None if kept is None else [replace(one, at=EPOCH) for one in kept]

        self.both(saved)

    @rule(meeting=SOME, seq=st.integers(0, 6), piece=st.integers(0, 4))
    def look_at_what_was_seen(self, meeting: int, seq: int, piece: int) -> None:
        """Ask for everything that the rules above have written of one meeting."""
        number = meeting % len(self.sides[0].meetings)

        async def seen(side: Side) -> list[object]:
            meeting_id = side.meetings[number]
            return [
                await side.store.fate(meeting_id, seq),
                [replace(one, taken_at=EPOCH) for one in await side.store.exhibits(meeting_id)],
                await side.store.exhibit_contents(meeting_id, piece),
                [replace(one, at=EPOCH) for one in await side.store.chat(meeting_id)],
            ]

        self.both(seen)
