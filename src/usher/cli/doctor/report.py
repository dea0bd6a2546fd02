"""Findings for a person to read."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from usher.cli.doctor.finding import Finding


def render(findings: Iterable[Finding]) -> Table:
    """Return a table with a line for each finding, and under it the remedy where one is called for."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True, style="bold")
    table.add_column("", overflow="fold")
    for finding in findings:
        table.add_row(_mark(finding), finding.name, Text(finding.detail))
        if finding.remedy:
            table.add_row("", "", Text(f"→ {finding.remedy}", style="yellow"))
    return table


def _mark(finding: Finding) -> Text:
    return Text("ok", style="green") if finding.ok else Text("no", style="bold red")
