"""Which commands are still to be carried out, whatever was missed."""

from hypothesis import given
from hypothesis import strategies as st

from usher.bot.ledger import Ledger
from usher.protocol.commands import Command, Leave, Reconfigure, Rename, Say


def say(seq: int) -> Say:
    return Say(seq=seq, text=f"message {seq}")


def reconfigure(seq: int) -> Reconfigure:
    return Reconfigure(seq=seq, language="de")


def test_what_was_carried_out_is_over() -> None:
    ledger = Ledger()
    assert not ledger.is_over(say(1))
    for seq in (1, 2):
        ledger.note(say(seq))
        assert ledger.is_over(say(seq))
        assert ledger.settled_seq == ledger.highest_seq == seq


def test_what_was_missed_is_found_again_when_the_manager_tells() -> None:
    ledger = Ledger()
    ledger.note(say(3))
    assert (ledger.settled_seq, ledger.highest_seq) == (0, 3)
    assert ledger.compare([say(2), say(3)], highest_seq=3) == [say(2)]
    assert ledger.settled_seq == 1
    ledger.note(say(2))
    assert ledger.settled_seq == 3


def test_what_the_manager_does_not_list_is_settled_as_far_as_it_could_know() -> None:
    ledger = Ledger()
    ledger.note(say(4))
    ledger.note(say(6))
    assert ledger.compare([], highest_seq=4) == []
    assert ledger.settled_seq == 4
    assert not ledger.is_over(say(5)), "it was ordered after the question"
    assert ledger.is_over(say(6))


def test_a_later_command_makes_older_ones_void_but_no_message() -> None:
    ledger = Ledger()
    ledger.note(reconfigure(5))
    assert ledger.is_over(reconfigure(4))
    assert not ledger.is_over(Rename(seq=3, name="A"))
    assert not ledger.is_over(say(2))
    ledger.note(Leave(seq=7))
    assert ledger.is_over(reconfigure(6))
    assert ledger.is_over(Rename(seq=3, name="A"))
    assert not ledger.is_over(say(2))


def test_it_does_not_grow_without_bound() -> None:
    ledger = Ledger()
    for seq in range(2, 20_000):
        ledger.note(say(seq))
    assert len(ledger._done) <= 1000  # noqa: SLF001 - the bound is what is tested
    assert ledger.is_over(say(2))
    assert not ledger.is_over(say(20_000))


COMMANDS = st.lists(st.sampled_from([say, reconfigure]), min_size=1, max_size=12)


@given(kinds=COMMANDS, heard=st.data())
def test_every_message_is_written_once_whatever_is_missed(kinds: list[object], heard: st.DataObject) -> None:
    sent: list[Command] = [say(seq) if kind is say else reconfigure(seq) for seq, kind in enumerate(kinds, 1)]
    ledger, done = Ledger(), []

    def take(command: Command) -> None:
        if not ledger.is_over(command):
            ledger.note(command)
            done.append(command.seq)

    for command in heard.draw(st.lists(st.sampled_from(sent), max_size=20)):
        take(command)
    highest_seq = ledger.highest_seq
    pending = [command for command in sent if command.seq not in done]
    for command in ledger.compare(pending, highest_seq):
        take(command)
    written = [command.seq for command in sent if isinstance(command, Say)]
    assert sorted(seq for seq in done if seq in written) == written
    assert len(done) == len(set(done))
    newest = max((command.seq for command in sent if isinstance(command, Reconfigure)), default=None)
    assert newest is None or newest in done
