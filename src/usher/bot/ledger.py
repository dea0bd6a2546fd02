"""Which commands were carried out, or need not be any more."""

from collections.abc import Sequence

from usher.protocol.commands import Command, Leave, Say

_MOST_KEPT = 1000


class Ledger:
    """Keeps each command from being carried out twice, and finds those that were missed.

    A command makes older ones of its action void, and a leave all others: what they wanted is wanted no more. A message
    for the chat never is: one that was missed comes late.

    Attributes:
        settled_seq: Every command up to this number was carried out, or is not wanted.
        highest_seq: The highest number of those that were carried out.
    """

    def __init__(self) -> None:
        self.settled_seq = 0
        self.highest_seq = 0
        self._done: set[int] = set()
        self._newest: dict[type[Command], int] = {}

    def is_over(self, command: Command) -> bool:
        """Say whether a command was carried out before, or is void."""
        return command.seq <= self.settled_seq or command.seq in self._done or self._is_void(command)

    def note(self, command: Command) -> None:
        """Note that a command was carried out."""
        self._done.add(command.seq)
        self.highest_seq = max(self.highest_seq, command.seq)
        self._newest[type(command)] = max(command.seq, self._newest.get(type(command), 0))
        while self.settled_seq + 1 in self._done:
            self.settled_seq += 1
            self._done.remove(self.settled_seq)
        if len(self._done) > _MOST_KEPT:
            self._settle(min(self._done))

    def compare(self, pending: Sequence[Command], highest_seq: int) -> list[Command]:
        """Take the manager's list of what is pending, and return what is still to be done, oldest first.

        What is not in the list is settled, up to `highest_seq`: the highest number that was known when it was asked.
        """
        missing = [command for command in pending if not self.is_over(command)]
        self._settle(missing[0].seq - 1 if missing else highest_seq)
        return missing

    def _is_void(self, command: Command) -> bool:
        if isinstance(command, Say):
            return False
        return command.seq < max(self._newest.get(type(command), 0), self._newest.get(Leave, 0))

    def _settle(self, seq: int) -> None:
        self.settled_seq = max(self.settled_seq, seq)
        self._done = {done for done in self._done if done > self.settled_seq}
