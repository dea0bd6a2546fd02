"""How scripts in the page read who is there."""

from pathlib import Path

READ_PEOPLE = Path(__file__).with_name("people.js").read_text(encoding="utf-8").strip()
"""A JavaScript function, for scripts that include it: takes `People` of the knowledge as JSON."""
