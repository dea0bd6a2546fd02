"""Evidence of a step that did not work: how the page looks, and what stands on it, without what was typed into it."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Page

from usher.domain.lifecycle import Reason
from usher.protocol.evidence import MOST_SCREENSHOT_BYTES, MOST_TREE_BYTES, Evidence

log = structlog.get_logger(__name__)

_PART_S = 5.0
_QUALITIES = (60, 35, 10)
_MOST_FRAMES = 5
_NO_FIELDS = ("button", "submit", "reset", "checkbox", "radio", "image", "range")
_TYPED_INTO = (
    f"input:not({', '.join(f'[type={kind}]' for kind in _NO_FIELDS)}), textarea, [role=textbox], "
    "[contenteditable]:not([contenteditable=false])"
)
_WORDS = "(fields) => fields.map((field) => field.value ?? field.innerText)"
_SHORTEST_WORDS = 3
_MASK = "#808080"
_MOST_STEP, _MOST_TITLE, _MOST_ADDRESS = 100, 300, 500

# A line of an ARIA snapshot whose value, after the colon or in deeper lines, somebody typed.
_FIELD = re.compile(r"""^(?P<indent>\s*)-\s'?(?P<role>textbox|searchbox|spinbutton|combobox)\b""")
_FIELD_NAME = re.compile(r"""^\s*-\s'?\w+(?P<name>\s"(?:[^"\\]|\\.)*")?""")
_SECRET_PART = re.compile(r"""(\w+://[^\s"'?#]*|/url:\s*[^\s"'?#]*)[?#][^\s"']*""")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_T = TypeVar("_T")


async def collect(page: Page, step: str, reason: Reason | None = None) -> Evidence:
    """Look at a page and return what can be had of it, within some seconds: a page that is frozen or gone tells little.

    Args:
        page: The page, in whatever state it is.
        step: The step that did not work.
        reason: What the bot made of it.
    """
    title, tree, screenshot = await asyncio.gather(
        _part("title", page.title()), _part("tree", _tree(page)), _part("screenshot", _screenshot(page))
    )
    return Evidence(
        step=step[:_MOST_STEP] or "unknown",
        reason=None if reason is None else reason.value,
        title=_without_secrets(title or "")[:_MOST_TITLE],
        address=_address(page.url)[:_MOST_ADDRESS],
        screenshot=screenshot,
        tree=_fitting(tree or ""),
    )


async def _part(name: str, look: Coroutine[Any, Any, _T]) -> _T | None:
    """Return one part of the evidence; None if it is not to be had in time."""
    try:
        async with asyncio.timeout(_PART_S):
            return await look
    except (PlaywrightError, TimeoutError) as error:
        log.warning("evidence_incomplete", part=name, error=type(error).__name__)
        return None


async def _screenshot(page: Page) -> bytes | None:
    """Return the page as a JPEG with all fields covered, in the best quality that is not too large."""
    mask = [frame.locator(_TYPED_INTO) for frame in page.frames[:_MOST_FRAMES]]
    for quality in _QUALITIES:
        picture = await page.screenshot(
            type="jpeg", quality=quality, scale="css", mask=mask, mask_color=_MASK, timeout=_PART_S * 1000
        )
        if len(picture) <= MOST_SCREENSHOT_BYTES:
            return picture
    return None


async def _tree(page: Page) -> str:
    """Return the accessible trees of the page and its frames, as far as they answer."""
    parts = []
    for frame in page.frames[:_MOST_FRAMES]:
        try:
            tree = await _frame_tree(frame)
        except PlaywrightError:
            if frame is page.main_frame:
                raise
            continue
        parts.append(tree if frame is page.main_frame else f"\n# frame {_address(frame.url)}\n{tree}")
    return _without_secrets("".join(parts))


async def _frame_tree(frame: Frame) -> str:
    """Return a frame's tree without what was typed: not in its fields, and not where the page repeats it."""
    tree = _without_values(await frame.locator("body").aria_snapshot(timeout=_PART_S * 1000))
    typed: list[str] = await frame.locator(_TYPED_INTO).evaluate_all(_WORDS)
    for words in sorted((" ".join(text.split()) for text in typed), key=len, reverse=True):
        if len(words) >= _SHORTEST_WORDS:
            tree = tree.replace(words, "…")
    return tree


def _without_values(tree: str) -> str:
    """Return an ARIA snapshot without what was typed into fields: their lines end after the name."""
    kept: list[str] = []
    field_indent: int | None = None
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        if field_indent is not None and (indent > field_indent or not line.strip()):
            continue
        field = _FIELD.match(line)
        field_indent = None if field is None else indent
        kept.append(line if field is None else _field_line(line, field))
    return "\n".join(kept)


def _field_line(line: str, field: re.Match[str]) -> str:
    named = _FIELD_NAME.match(line)
    name = named["name"] or "" if named is not None else ""
    return f"{field['indent']}- {field['role']}{name}"


def _without_secrets(text: str) -> str:
    """Return a text without queries and fragments of addresses, which hold passcodes, and what cannot be printed."""
    return _UNPRINTABLE.sub("", _SECRET_PART.sub(r"\1", text))


def _address(url: str) -> str:
    """Return an address without user, query and fragment; of one that holds its content only what kind it is."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url if parts.scheme == "about" else f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _fitting(tree: str) -> str:
    """Cut a tree to the size that is kept, at the end of a line."""
    encoded = tree.encode()
    if len(encoded) <= MOST_TREE_BYTES:
        return tree
    return encoded[:MOST_TREE_BYTES].decode(errors="ignore").rpartition("\n")[0]
