"""The page of settings, made from the tree of `usher.settings.Settings`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tools.generate.markdown import generated_by, page, table
from usher.settings import Settings

_WORDS: Mapping[object, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret text",
}
_INTRODUCTION = (
    "Every setting is an environment variable that begins with `{prefix}`. They are read once, when a process starts. "
    "A variable that is empty counts as absent."
)
_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "min_length": "{} characters or more"}


@dataclass(frozen=True, slots=True)
class _Setting:
    """One line of the page."""

    variable: str
    kind: str
    default: str
    description: str


def settings_page(settings: type[BaseSettings] = Settings) -> str:
    """Return the page: one table for the settings at the top of the tree, and one for each group."""
    prefix = settings.model_config.get("env_prefix", "")
    delimiter = settings.model_config.get("env_nested_delimiter") or "__"
    own = [_setting(prefix, name, field) for name, field in settings.model_fields.items() if not _group(field)]
    blocks = [
        generated_by("`src/usher/settings.py`"),
        "# Settings",
        _INTRODUCTION.format(prefix=prefix),
        *([_table(own)] if own else []),
    ]
    for name, field in settings.model_fields.items():
        group = _group(field)
        if group is not None:
            summary = (group.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
            blocks += [f"## {name}", summary, _table(list(_walk(f"{prefix}{name}{delimiter}", group, delimiter)))]
    return page(*blocks)


def _walk(prefix: str, group: type[BaseModel], delimiter: str) -> Iterator[_Setting]:
    for name, field in group.model_fields.items():
        inner = _group(field)
        if inner is None:
            yield _setting(prefix, name, field)
        else:
            yield from _walk(f"{prefix}{name}{delimiter}", inner, delimiter)


def _setting(prefix: str, name: str, field: FieldInfo) -> _Setting:
    kind = ", ".join([_kind(field.annotation), *_bounds(field)])
    return _Setting(f"{prefix}{name}".upper(), kind, _default(field), field.description or "")


def _table(settings: list[_Setting]) -> str:
    rows = [[f"`{s.variable}`", s.kind, s.default, s.description] for s in settings]
    return table(["variable", "value", "default", "what it is"], rows)


def _group(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _kind(annotation: object) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation) if part is not NoneType)
    return _WORDS.get(annotation) or f"`{getattr(annotation, '__name__', annotation)}` as JSON"


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        for name, text in _BOUNDS.items():
            value = getattr(rule, name, None)
            if value is not None:
                yield text.format(value)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if field.is_required():
        return "required"
    if value is None or isinstance(value, SecretStr):
        return "-"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
