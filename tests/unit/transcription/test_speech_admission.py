"""Admission by measured load: a clock of the test's own, and workers that are as busy as the test says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.transcription.admission import Admission, Limits, Queue, Reason, Refused, Seat
from usher.transcription.load import WINDOW_S, Decaying, Load

IDLE = Queue(wait_s=0.0, backlog_s=0.0)
LIMITS = Limits(max_streams=256, max_streams_per_bot=128, max_load=0.9, max_lag_s=2.0, retry_after_s=30.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    """A service with two workers."""

    def __init__(self, limits: Limits = LIMITS, workers: int = 2) -> None:
        self.clock = Clock()
        self.load = Load(workers=workers, clock=self.clock)
        self.admission = Admission(limits, self.load, clock=self.clock)

    def admit(self, bot: str | None = None, queue: Queue = IDLE) -> Seat | Refused:
        return self.admission.admit(bot, queue)

    def fill(self, bot: str | None = None, most: int = 10_000) -> tuple[int, Refused | None]:
        """Lets streams in until one is refused."""
        for number in range(most):
            answer = self.admit(bot)
            if isinstance(answer, Refused):
                return number, answer
        return most, None

    def work(self, duration_s: float, busy: float) -> None:
        """Lets time pass in which so many workers are busy."""
        for _ in range(round(duration_s * 10)):
            self.load.begin()
            self.clock.now += 0.1 * busy
            self.load.end(0.1)
            self.clock.now += 0.1 * (1 - busy)


def test_a_sum_forgets_and_a_flow_settles() -> None:
    clock = Clock()
    total = Decaying(10.0, clock)
    total.add(4.0)
    clock.now += 10.0
    assert total.sum == pytest.approx(4.0 / 2.718281828)
    total.flow(0.5)
    clock.now += 1000.0
    assert total.sum == pytest.approx(5.0)


def test_the_load_is_the_share_of_workers_that_were_busy_of_late() -> None:
    house = House()
    house.work(5 * WINDOW_S, 0.4)
    assert house.load.busy == pytest.approx(0.4, rel=0.05)
    house.clock.now += 5 * WINDOW_S
    assert house.load.busy < 0.01


def test_a_call_that_does_not_come_back_counts_while_it_runs() -> None:
    house = House()
    house.load.begin()
    house.clock.now += 5 * WINDOW_S
    assert house.load.busy == pytest.approx(1.0, rel=0.01)


def test_a_burst_cannot_slip_in_before_its_load_is_measured() -> None:
    came_in, refused = House().fill()
    assert refused == Refused(Reason.BUSY, 30.0)
    assert came_in == pytest.approx(0.9 * 2 / 0.1, abs=1)


def test_streams_of_one_bot_share_one_conversation() -> None:
    came_in, _ = House().fill("one meeting", most=100)
    assert came_in == 100


def test_cheap_streams_make_room_and_dear_ones_take_it() -> None:
    cheap, dear = House(), House()
    for house, busy in ((cheap, 0.02), (dear, 0.8)):
        assert isinstance(house.admit(), Seat)
        house.work(600.0, busy)
    assert cheap.fill()[0] > House().fill()[0]
    assert dear.fill()[0] <= 1


def test_lag_closes_the_door_and_the_wait_is_the_time_to_drain() -> None:
    house = House()
    house.admit()
    house.work(600.0, 0.5)  # five seconds of work a second of audio, as `work` has it decoded
    assert house.admit(queue=Queue(wait_s=1.9, backlog_s=100.0)).__class__ is Seat
    answer = house.admit(queue=Queue(wait_s=2.1, backlog_s=100.0))
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.LAGGING
    assert answer.retry_s == pytest.approx(100.0 * 0.5 / 2, rel=0.2)


def test_waits_of_late_close_the_door_and_are_forgotten_when_nothing_is_said() -> None:
    house = House()
    house.admit()
    for _ in range(20):
        house.load.waited(5.0)
    answer = house.admit()
    assert isinstance(answer, Refused)
    assert answer.reason is Reason.LAGGING
    house.clock.now += 4 * WINDOW_S
    assert isinstance(house.admit(), Seat)


def test_a_busy_event_loop_closes_the_door() -> None:
    house = House()
    house.admit()
    house.load.heard(0.95 * WINDOW_S)
    assert house.admit() == Refused(Reason.BUSY, 30.0)


def test_an_empty_house_lets_in_whom_it_thinks_too_dear() -> None:
    house = House(Limits(256, 128, 0.01, 2.0, 30.0))
    seat = house.admit()
    assert isinstance(seat, Seat)
    assert house.admit() == Refused(Reason.BUSY, 30.0)
    house.admission.leave(seat)
    assert isinstance(house.admit(), Seat)


def test_hard_bounds_hold_whatever_the_load() -> None:
    house = House(Limits(5, 3, 100.0, 2.0, 30.0))
    assert house.fill("a") == (3, Refused(Reason.BOT_FULL, 30.0))
    assert house.fill("b") == (2, Refused(Reason.FULL, 30.0))


def test_leaving_twice_is_leaving_once() -> None:
    house = House()
    first, second = house.admit("a"), house.admit("a")
    assert isinstance(first, Seat)
    assert isinstance(second, Seat)
    house.admission.leave(first)
    house.admission.leave(first)
    assert house.admission.streams == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from([None, "a", "b", "c"])),
        st.tuples(st.just("go"), st.integers(0, 300)),
        st.tuples(st.just("pass"), st.floats(0.0, 60.0)),
        st.tuples(st.just("work"), st.floats(0.0, 3.0)),
    ),
    max_size=200,
)


@given(steps=STEPS, workers=st.integers(1, 4))
def test_whatever_happens_the_bounds_hold(steps: list[tuple[str, object]], workers: int) -> None:
    """An empty house lets in; no stream comes in over the limit; waits are bounded; the count is that of the seats."""
    limits = Limits(20, 8, 0.9, 2.0, 30.0)
    house = House(limits, workers)
    seats: list[Seat] = []
    for step, value in steps:
        if step == "come":
            bot = value if isinstance(value, str) else None
            before = house.admission.forecast
            answer = house.admit(bot)
            if isinstance(answer, Refused):
                assert seats
                assert 0.0 < answer.retry_s <= 600.0
            else:
                assert not seats or before < limits.max_load
                assert not seats or house.admission.forecast <= limits.max_load + 1e-9
                seats.append(answer)
        elif step == "go" and seats:
            house.admission.leave(seats.pop(int(str(value)) % len(seats)))
        elif step == "pass":
            house.clock.now += float(str(value))
        elif step == "work":
            house.load.begin()
            house.clock.now += float(str(value))
            house.load.end(1.0)
        assert house.admission.streams == len(seats) <= limits.max_streams
        assert max((sum(seat.bot == bot for seat in seats) for bot in "abc"), default=0) <= limits.max_streams_per_bot
