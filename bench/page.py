"""The page of the docs that shows the results and says how they came about."""

from collections.abc import Mapping

from bench.metric import Metric
from bench.results import Entry

_HEAD = """\
# Benchmarks

<!-- Written by `make bench` from bench/results.json. Change bench/page.py instead. -->

How fast Usher is, measured against floors: short programs that do the same work with the same driver and the same
durability and nothing else. `make bench` runs all metrics, `make bench ONLY=B1,B2` some; `bench/results.json` keeps
the last result of each, with the commit that it was measured on.

## Results

| id | metric | floor | value | ratio to the floor (95 %) | CPU per operation | target | met | commit |
|---|---|---|---|---|---|---|---|---|
"""

_METHOD = """
The value is Usher's own figure on the machine that the results were taken on; it says little about another machine.
The ratio does, and so does the CPU time, which is that of Usher's server process alone (the database's is not in it).

## Method

* **Side by side.** Usher and its floor run at the same time, each a server process of its own with the same settings:
  uvicorn on uvloop with httptools, one worker, a pool of ten connections of asyncpg. They take turns in blocks of some
  hundred operations, and who comes first in a round is drawn by lot. Rounds before the first that counts are thrown
  away.
* **Ratio of medians.** Each block gives one figure (its median latency, or its rate); the ratio is that of the medians
  over all blocks. Its 95 % confidence interval is a bootstrap over rounds (2,000 draws): operations of one block share
  whatever else the machine was doing, so they do not count as independent.
* **The real thing.** Usher's server is the product, put together by its own code, with its log: authentication,
  validation, state machine, PostgreSQL, live status over Redis, metrics. In B1, B2 and B4 it is the application of
  `usher serve --role api`, and other roles do not run beside it; in all others it is `usher serve` with all roles.
* **Simulated bots.** B3, B5, B8 and the first half of B12 need more bots than a machine has room for browsers: there a
  bot is the real one (`usher.bot.bot`: reports, heartbeats, commands, segments, last words) with a scripted visit in
  the place of the browser, and thousands of them run in one process of their own. The manager reaches it by a launcher
  of its own kind, over a socket, so the bots outlive the manager. Each bot has its own HTTP connections, kept and
  dropped as the real one does it, on a lean client, and its own account and connections at Redis; only the 10,000 of
  B5 share a few connections to Redis, which by default takes no more than 10,000. B6 runs each bot in a process of its
  own under the launcher of processes.
* **Durable.** A PostgreSQL of the benchmark's own with fsync, synchronous commit and full page writes on; the run
  refuses to start otherwise. Each metric starts with an empty database.
* **The load generator** is a process of its own on raw sockets, with requests that are made beforehand; how busy it
  was is printed with each result. Each connection waits for its answer before it sends the next request.
* **No refusals.** An answer other than success ends the run, save where refusals are what is looked for. Effects are
  checked in the database: B4 counts the meetings that became active; B2 looks at snapshots of the database while one
  user asks for far more bots than they may have, and counts those in which I1 (never two live meetings of one user in
  one call) or I2 (never more bots under way than the limit) does not hold.
* **Commands** (B3). The clock starts when the API has answered `202` and ends when the bot has the manager's answer to
  its acknowledgement, which is durable then; the floor writes nothing. In the second half commands are written in bulk
  as `PUT …/config` writes them, and sent to bots while every second a tenth of all connections to Redis is cut, and
  every fifth second Redis is emptied; each command has to be executed once, by the bots' own word. There are 200,000,
  which takes some minutes; `python -m bench.loss --commands 1000000` is the same for whoever has half an hour.
  Where the time goes: between idle processes most of what a message costs is to wake the next one. The floor wakes four
  (Redis, the other process, Redis, the first one). A command wakes Redis and its bot until it is executed, after which
  the acknowledgement wakes the manager, PostgreSQL and the manager again to read the meeting, the same two to write it
  durably, and the bot: eight, which is twice the floor before anything is computed or written.
* **A fleet** (B5). CPU time is that of the manager's process alone, over a minute without other load. Then the API of
  this manager and that of one without bots, which runs beside it on the same machine, are asked the same in turn: what
  the simulation itself takes from the machine, both feel.
* **Deaths** (B6, B8) are real signals to processes. B8 counts from the kill, and the manager is started again at once;
  all is settled when nothing is left of what was under way at that moment: effects, commands, reports and segments of
  bots, workloads that no meeting asks for. Then every bot is stopped, and what users were promised and bots have lived
  through is held against the database. `python -m bench.recovery --bots 1000` is the same with a report to read.
* **The way of a transcript** (B9). Entries as bots write and sign them, two segments each, from 200 meetings in turn.
  The collector's process is stopped while a backlog of 10,000 segments is written; the time counts from when it goes on
  until the last entry is acknowledged, which it is after it is committed; the database is counted after each block. The
  floor checks nothing, stores no sessions and tells no viewers. Then segments come at a steady 5,000 a second, and each
  entry's delay is that from its place in the stream, by Redis' clock, until it is gone.
* **Speech** (B13): [a page of its own](speech-benchmark.md).
* **A bot in a meeting** (B14). The bot as a process with its real browser and a browser without the bot attend the same
  meeting in the built-in room at the same time, with four people who hum without a pause, each over a connection of
  its own. CPU time is that of all processes: of the bot its Python, the driver of its browser and the browser; of the
  other the browser alone. Memory is counted so that what processes share is divided among them. The speech service, the
  manager and Redis are not in it. `python -m bench.soak --minutes 30` lets the same people talk in turns and over each
  other for as long as wanted, and looks at coverage, attribution, memory and the end.
* **What it cannot tell.** Servers, database and load generator share one machine. Wall-clock figures move by a third
  from run to run on a shared machine with few cores; ratios move far less, and the interval says how much.
  `python -m bench --quick` is a smoke test of a few seconds: it writes neither the results nor this page.
"""


def render(metrics: Mapping[str, Metric], results: Mapping[str, Entry]) -> str:
    """Return the page as Markdown."""
    rows = [_row(name, metric, results.get(name)) for name, metric in metrics.items()]
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + _METHOD


def _row(name: str, metric: Metric, result: Entry | None) -> tuple[str, ...]:
    about = (name, metric.title, metric.floor or "none")
    if result is None:
        return (*about, "not measured yet", "", "", metric.target, "", "")
    value = f"{result['value']:,g} {result['unit']}"
    met = "yes" if result["met"] else "**no**"
    return (*about, value, _ratio(result), _cpu(result["cpu_s_per_op"]), result["target"], met, result["commit"])


def _ratio(result: Entry) -> str:
    if result["ratio"] is None:
        return "none"
    low_high = "" if result["ci95"] is None else f" ({result['ci95'][0]:.3g} to {result['ci95'][1]:.3g})"
    return f"{result['ratio']:.3g}{low_high}"


def _cpu(cpu_s: float | None) -> str:
    return "none" if cpu_s is None else f"{cpu_s * 1000:.3g} ms"
