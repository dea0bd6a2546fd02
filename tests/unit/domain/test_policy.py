"""Back-off, and the sense that the default numbers make together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.domain.policy import Backoff, Policy

BACKOFFS = st.builds(Backoff, st.floats(0.01, 10), st.floats(1, 10), st.floats(10, 1000))


def test_the_delay_grows_by_the_factor_up_to_its_most() -> None:
    backoff = Backoff(first_s=2.0, factor=4.0, most_s=60.0)
    assert [backoff.delay_s(tries) for tries in (1, 2, 3, 4, 50)] == [2.0, 8.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize("tries", [0, -1, -100])
def test_before_the_first_failure_the_delay_is_the_first(tries: int) -> None:
    assert Backoff(2.0, 4.0, 60.0).delay_s(tries) == 2.0


@given(BACKOFFS, st.integers(1, 10**9))
def test_no_delay_is_shorter_than_the_first_or_longer_than_the_most(backoff: Backoff, tries: int) -> None:
    assert backoff.first_s <= backoff.delay_s(tries) <= backoff.most_s
    assert backoff.delay_s(tries) <= backoff.delay_s(tries + 1)


def test_the_default_numbers_fit_each_other() -> None:
    policy = Policy()
    deadlines = policy.deadlines
    assert 2 * policy.heartbeat_s < policy.lease_s, "one lost heartbeat is no death"
    assert policy.lease_s <= 25, "a dead bot is found within 25 s"
    assert policy.admission_timeout_s < deadlines.awaiting_admission_s, "the bot gives up before its deadline"
    assert policy.leave_grace_s + policy.kill_grace_s < deadlines.stopping_s, "the kill comes before the verdict"
    assert policy.claim_s <= deadlines.starting_s, "a lost claim on a launch is tried again before the verdict"
    assert policy.retry.delay_s(policy.max_attempts) < deadlines.requested_s, "a retry is due before its deadline"
    assert 3 * policy.claim_renewal_s <= policy.claim_s, "one renewal that fails loses no claim"
    assert policy.effect_retry.most_s < policy.effect_timeout_s
    assert policy.lease_s + 2.0 < 25, "a pass of the reconciler later it is still within 25 s"
