"""The benchmarks: `python -m bench`. The method is on the page that a run writes, docs/reference/benchmarks.md."""
