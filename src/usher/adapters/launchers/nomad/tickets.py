"""Tickets: what lets one allocation of a workload run, and keeps its secrets until then."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from usher.adapters.launchers.nomad.api import NomadApi, Refused
from usher.adapters.launchers.nomad.job import ticket_path
from usher.domain.errors import Unavailable

_NOBODY = "nobody"
_SPENT = "spent"
_TRIES = 20
_KEPT_NS = 3600 * 1_000_000_000
_MOST_SWEPT = 200
_PAGE = "1000"
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Ticket(NamedTuple):
    """A ticket as it was found.

    Attributes:
        allocation: Id of the allocation that may run; `nobody` if it was given to none.
        environment: The bot's environment, in the form in which Nomad reads it; empty when it is spent.
        is_spent: Whether nothing of the workload may begin any more.
        at_index: What a change of it has to name, so that two changes at once are not both made; 0 if it is missing.
    """

    allocation: str
    environment: str
    is_spent: bool
    at_index: int

    @property
    def began(self) -> bool:
        """Whether it was given to an allocation: without that, none can begin."""
        return self.allocation != _NOBODY

    @property
    def is_open(self) -> bool:
        """Whether it can still be given to an allocation."""
        return not self.began and not self.is_spent

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else keeps something in its place."""
        return self.allocation == ""


class Tickets:
    """One Nomad variable a workload, changed by compare-and-set alone.

    It is open when the workload is started, then given to one allocation, then spent; or spent at once. A spent one
    still names its allocation: an agent that restarts asks for it again before it takes care of what runs.

    Registering a job is not compared when it is written: Nomad compares first and writes later, so of a start and a
    stop at once both may be told that they were first. Writing a variable is.

    Source: Nomad documentation, "Variables HTTP API", parameter `cas`; source of the job register endpoint, 1.6.1.
    """

    def __init__(self, api: NomadApi) -> None:
        self._api = api

    async def open(self, job_id: str, environment: Mapping[str, str]) -> Ticket:
        """Make the ticket of a workload, or return the one that there is.

        Raises:
            Refused: Nomad cannot keep such an environment, or hand it to the bot unchanged.
        """
        return (await self._write(job_id, Ticket(_NOBODY, _lines(environment), is_spent=False, at_index=0))).ticket

    async def find(self, job_id: str) -> Ticket | None:
        """Return the ticket of a workload."""
        answer = await self._api.ask("GET", f"/v1/var/{ticket_path(job_id)}")
        return None if answer.status == 404 else _ticket(answer.body)

    async def give(self, job_id: str, ticket: Ticket, allocation: str) -> Ticket:
        """Give an open ticket to an allocation; returns what it is after that, whoever changed it."""
        if not ticket.is_open:
            return ticket
        return (await self._write(job_id, ticket._replace(allocation=allocation))).ticket

    async def spend(self, job_id: str) -> "Written":
        """See to it that nothing of a workload begins any more, and wipe its secrets."""
        ticket = await self.find(job_id) or Ticket(_NOBODY, "", is_spent=False, at_index=0)
        for _ in range(_TRIES):
            if ticket.is_spent or ticket.is_foreign:
                return Written(made=False, ticket=ticket)
            written = await self._write(job_id, ticket._replace(environment="", is_spent=True))
            if written.made:
                return written
            ticket = written.ticket
        raise Unavailable(f"the ticket of {job_id} changes all the time")

    async def forget_old(self, prefix: str, names: frozenset[str]) -> None:
        """Delete tickets that nobody can need: an hour old, by the clock of Nomad, and of no job that there is.

        Args:
            prefix: Begins the names of this installation's jobs.
            names: Names of the jobs that there are.
        """
        found = await self._api.ask("GET", "/v1/vars", {"prefix": ticket_path(prefix), "per_page": _PAGE})
        old = [one for one in found.body if one["ModifyTime"] < found.at_ns - _KEPT_NS]
        left = [one for one in old if one["Path"].removeprefix(ticket_path("")) not in names]
        for one in left[:_MOST_SWEPT]:
            await self._api.ask("DELETE", f"/v1/var/{one['Path']}", {"cas": str(one["ModifyIndex"])})

    async def _write(self, job_id: str, ticket: Ticket) -> "Written":
        """Write a ticket if the one that is there has its number."""
        items = {
            "allocation": ticket.allocation,
            "environment": ticket.environment,
            "state": _SPENT if ticket.is_spent else "",
        }
        path = f"/v1/var/{ticket_path(job_id)}"
        answer = await self._api.ask("PUT", path, {"cas": str(ticket.at_index)}, {"Items": items})
        return Written(answer.status != 409, _ticket(answer.body))


class Written(NamedTuple):
    """Whether a ticket was written, and what it is now."""

    made: bool
    ticket: Ticket


def _ticket(variable: Mapping[str, Any]) -> Ticket:
    index = variable["ModifyIndex"]
    items = variable["Items"] or {}
    allocation = items.get("allocation", "" if index else _NOBODY)
    return Ticket(allocation, items.get("environment", ""), items.get("state") == _SPENT, index)


def _lines(environment: Mapping[str, str]) -> str:
    """Return variables as lines that Nomad reads back unchanged: values in double quotes, escaped as in JSON.

    Source: Nomad documentation, template block, "Environment Variables".
    """
    for key, value in environment.items():
        if not _VARIABLE_NAME.fullmatch(key) or "\0" in value or not _is_unicode(value):
            raise Refused(f"the variable {key!a} cannot be handed to a bot")
    return "".join(f"{key}={json.dumps(value, ensure_ascii=False)}\n" for key, value in environment.items())


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)
