"""The verb `import`, for a terminal and a notebook alike: what `--set` says to an importer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from bestbt.errors import UsageError
from bestbt.store.store import Store

__all__ = ["SET_HELP", "import_options"]

SET_HELP = "an option of the format, such as stamp=end or columns.close=LTP; repeatable"
_OWN = frozenset(inspect.signature(Store.import_file).parameters) - {"options"}
_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_SWITCHES = ("again", "check_level", "official_closes")
_TABLES = ("columns",)  # name.key=value
_LISTS = ("header",)  # name=value,value
_NUMBERS = ("expiry_code",)


def import_options(settings: Iterable[str]) -> dict[str, Any]:
    """Return options of `Store.import_file` as they are written behind `--set`.

    Values are text. Switches are true or false, `header` is a list with commas, and a column is
    named by `columns.close=LTP`. Whether a format has an option, its importer says.

    Raises
    ------
    UsageError
        For what is no ``name=value``, a name given twice, or a value of the wrong kind.

    Examples
    --------
    >>> import_options(["stamp=end", "columns.open=LTP", "columns.close=LTP", "again=true"])
    {'stamp': 'end', 'columns': {'open': 'LTP', 'close': 'LTP'}, 'again': True}
    """
    found: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        name, dot, key = name.strip().partition(".")
        if not (equals and name.isidentifier() and value):
            raise UsageError(f"--set {text}: write it as name=value, such as --set stamp=end.")
        if name in ("format", "symbol"):
            raise UsageError(f"--set {text}: it has a place of its own, --{name} {value}.")
        if name in _OWN:
            raise UsageError(f"--set {text}: a file has no option {name!r}; leave it out.")
        if (name in _TABLES) != bool(dot and key):
            example = "columns.close=LTP" if name in _TABLES else f"{name}={value}"
            raise UsageError(f"--set {text}: write it as --set {example}.")
        into, place = (found.setdefault(name, {}), key) if dot else (found, name)
        if place in into:
            raise UsageError(f"--set {text}: {name}{dot}{key} was given twice; leave one.")
        into[place] = _value(name, value, text)
    return found


def _value(name: str, value: str, text: str) -> Any:
    if name in _LISTS:
        return [part.strip() for part in value.split(",")]
    if name in _NUMBERS and value.isascii() and value.isdigit():
        return int(value)
    if name in _SWITCHES:
        if value.lower() not in _WORDS:
            raise UsageError(f"--set {text}: {name} is true or false.")
        return _WORDS[value.lower()]
    return value
