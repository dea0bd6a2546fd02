"""Which host a workload is on, and what a silent host means for the plan."""

from collections import Counter

import pytest

from usher.adapters.launchers.docker.hosts import PartialListing, home_of
from usher.domain.lifecycle import Event, State
from usher.domain.reconcile import Gone, Observation, Running, Unknown, Watched, WorkloadName, plan

HOSTS = ("a", "b", "c", "d")
NAMES = [WorkloadName(number, 1) for number in range(1, 2001)]


def homes(hosts: tuple[str, ...]) -> dict[WorkloadName, str]:
    return {name: home_of(name.engine_name("usher"), hosts) for name in NAMES}


def test_workloads_are_spread_evenly() -> None:
    counts = Counter(homes(HOSTS).values())
    assert set(counts) == set(HOSTS)
    assert all(400 < count < 600 for count in counts.values())


def test_the_order_of_the_hosts_means_nothing() -> None:
    assert homes(HOSTS) == homes(HOSTS[::-1])


def test_a_host_that_is_added_takes_its_share_and_moves_nothing_else() -> None:
    before, after = homes(HOSTS), homes((*HOSTS, "e"))
    moved = [name for name in NAMES if before[name] != after[name]]
    assert {after[name] for name in moved} == {"e"}
    assert 300 < len(moved) < 500


@pytest.fixture
def listing() -> PartialListing:
    at = homes(HOSTS)
    known: dict[WorkloadName, Observation] = {name: Running() for name in NAMES[:100] if at[name] != "b"}
    return PartialListing(known, silent=frozenset("b"), hosts=HOSTS, installation="usher")


def test_what_is_on_a_silent_host_is_unknown_and_what_is_on_another_is_as_it_is(listing: PartialListing) -> None:
    at = homes(HOSTS)
    for name in NAMES[:200]:
        expected = Unknown if at[name] == "b" else Running if name in NAMES[:100] else Gone
        assert isinstance(listing.get(name, Gone()), expected)


def test_the_plan_concludes_nothing_about_a_silent_host(listing: PartialListing) -> None:
    at = homes(HOSTS)
    rows = [Watched(*name, State.ACTIVE, deadline_passed=False, lease_expired=False) for name in NAMES[:200]]
    suspects = plan(rows, listing).suspects
    found = plan(rows, listing, suspects).findings
    vanished = {WorkloadName(one.meeting_id, one.attempt) for one in found if one.event is Event.WORKLOAD_VANISHED}
    assert vanished == {name for name in NAMES[100:200] if at[name] != "b"}
