"""`usher doctor`: tries out everything that bots need on this machine, and says how to mend what does not work."""

from usher.cli.doctor.finding import DoctorSettings, Finding
from usher.cli.doctor.report import render
from usher.cli.doctor.run import run_checks

__all__ = ["DoctorSettings", "Finding", "render", "run_checks"]
