"""Bugs planted on purpose: each changes one line of a mechanism, and the tests have to notice.

`table.py` is what is planted; `python -m tools.mutants` plants one after the other in a copy of the repository, runs
the tests from the cheapest to the dearest until one fails, and writes `docs/reference/mutants.md`.
"""
