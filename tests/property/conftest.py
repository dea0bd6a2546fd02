"""Hypothesis on machines that others use too: no verdict hangs on how fast an example ran."""

from hypothesis import HealthCheck, settings

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
