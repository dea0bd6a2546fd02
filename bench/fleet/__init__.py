"""Simulated bots: the real protocol with a scripted visit in the place of the browser, thousands in one process.

The process is `python -m bench.fleet`. It outlives managers, as bots do: a manager asks it over a socket to start and
stop them (`bench.fleet.launcher`), and a benchmark asks it over its standard input what the bots have lived through.
"""
