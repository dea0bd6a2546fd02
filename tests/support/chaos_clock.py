"""A wall clock that is wrong, for one process: to be set before anything else is imported.

Monotonic clocks stay as they are, as they do on a machine whose clock is stepped.
"""

import datetime as datetime_module
import time as time_module


class _AnyDatetime(type(datetime_module.datetime)):  # type: ignore[misc]  # the metaclass is `type`, which mypy is not told
    """Lets the times that C code makes pass for the class that Python code sees."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _RIGHT)


_RIGHT = datetime_module.datetime


def shift_wall_clock(by_s: float) -> None:
    """Make `time.time` and `datetime.now` of this process wrong by `by_s` seconds."""
    right_time, right_time_ns = time_module.time, time_module.time_ns

    class ShiftedDatetime(_RIGHT, metaclass=_AnyDatetime):
        __slots__ = ()  # as large as the right one: compiled modules look

        @classmethod
        def now(cls, tz: datetime_module.tzinfo | None = None) -> "ShiftedDatetime":
            return cls.fromtimestamp(right_time() + by_s, tz)

        @classmethod
        def utcnow(cls) -> "ShiftedDatetime":
            return cls.now(datetime_module.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> "ShiftedDatetime":
            return cls.now()

    time_module.time = lambda: right_time() + by_s
    time_module.time_ns = lambda: right_time_ns() + int(by_s * 1e9)
    datetime_module.datetime = ShiftedDatetime  # type: ignore[misc]  # that is the point
