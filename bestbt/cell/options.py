"""The line of the magic: symbols and options, refused by name when unknown."""

from __future__ import annotations

import argparse
import ast
import keyword
import re
import shlex
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, NoReturn

from bestbt.engine.grid import duration
from bestbt.errors import UsageError, did_you_mean

__all__ = [
    "RUN_OPTIONS",
    "CellOptions",
    "Parser",
    "first_day",
    "last_day",
    "parse_capital",
    "parse_options",
]

# Options of the manual that this version does not have yet.
_LATER = (
    "--preset",
    "--margin",
    "--no-margin",
    "--sweep",
    "--workers",
    "--cluster",
    "--check-lookahead",
)


@dataclass(frozen=True)
class CellOptions:
    """What a `%%backtest` line asks for; None where it says nothing.

    `start` and `end` are inclusive days, `capital` is in currency, `bar` a duration as text.
    `slippage` is 0 for none, or text for the run to understand (`"2ticks"`, `"0.5%"`). `help` is
    the help text when it was asked for: nothing else is to be done then.
    """

    symbols: tuple[str, ...]
    start: date | None = None
    end: date | None = None
    warmup: int = 0
    capital: float | None = None
    params: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    name: str = "run"
    store: str | None = None
    bar: str | None = None
    slippage: float | str | None = None
    fees: str | None = None
    fill_at: str | None = None
    path: str | None = None
    limit_touch: bool | None = None
    stop_check: str | None = None
    band: bool | None = None
    rate: float | None = None
    close_at_end: bool | None = None
    load: str | None = None
    cost: str | None = None
    max_participation: float | str | None = None
    step: bool = False
    wait: bool = False
    view: bool = True
    check_only: bool = False
    save: str | None = None
    help: str | None = None


def parse_options(line: str, file: str | None = None) -> CellOptions:
    """Parse the line behind `%%backtest`, or in a terminal behind `bestbt run FILE`.

    Parameters
    ----------
    line
        Symbols and options, quoted as in a shell.
    file
        The file, in a terminal: messages then speak of its command.

    Raises
    ------
    UsageError
        An unknown option (with the nearest known one), one of a later version, or a value that
        makes no sense.

    Examples
    --------
    >>> asked = parse_options("NIFTY --from 2024-01 --to 2024-03 --capital 10L --set stop=25%")
    >>> asked.symbols, str(asked.start), str(asked.end), asked.capital
    (('NIFTY',), '2024-01-01', '2024-03-31', 1000000.0)
    >>> dict(asked.params)
    {'stop': '25%'}
    """
    command = "%%backtest" if file is None else f"bestbt run {file}"
    parser = _parser(command)
    words = _words(line)
    if "--help" in words or "-h" in words:
        return CellOptions((), help=parser.format_help())
    for word in words:
        _known(word, command)
    asked = vars(parser.parse_args(words))
    if not asked["symbols"] and not asked["check_only"]:
        coverage = "%bestbt coverage" if file is None else "bestbt coverage"
        raise UsageError(
            f"No symbol was given; name one: `{command} NIFTY`. `{coverage}` lists them."
        )
    start, end = asked["start"], asked["end"]
    if start is not None and end is not None and start > end:
        raise UsageError(f"--from {start} is after --to {end}; swap them.")
    params = {}
    for name, value in asked.pop("params"):
        if name in params:
            raise UsageError(f"--set {name} was given twice; leave one.")
        params[name] = value
    asked["symbols"] = tuple(asked["symbols"])
    return CellOptions(params=MappingProxyType(params), **asked)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line {line!r} cannot be read ({error}); close the quote.") from error


def _known(word: str, command: str) -> None:
    """Refuse an option that does not exist, before argparse guesses."""
    name = word.partition("=")[0]
    if not re.fullmatch(r"--?[A-Za-z][\w-]*", name) or name in _OPTIONS:
        return
    if name in _LATER:
        raise UsageError(f"{name} is not in this version of bestbt; leave it out.")
    raise UsageError(f"{command} has no option {name}. {did_you_mean(name, _OPTIONS)}")


# --- values ---

_UNITS = {"": 1, "K": 10**3, "L": 10**5, "LAKH": 10**5, "M": 10**6, "CR": 10**7}


def parse_capital(text: str) -> float:
    """Return a sum of money as people write it; `UsageError` when it is no positive number.

    >>> [parse_capital(text) for text in ("1000000", "10L", "1.5Cr", "250k", "10,00,000")]
    [1000000.0, 1000000.0, 15000000.0, 250000.0, 1000000.0]
    """
    found = re.fullmatch(
        r"(\d[\d,_]*(?:\.\d+)?|\.\d+)\s*([A-Z]*)", text.strip().upper(), flags=re.ASCII
    )
    if found is None or found[2] not in _UNITS:
        raise UsageError(
            f"--capital {text}: no amount of money; write it as 1000000, 10L, 1Cr or 250k."
        )
    # str * int would lose paise of 0.1Cr: multiply as exact decimals, then round once
    whole, _, part = found[1].replace(",", "").replace("_", "").partition(".")
    amount = float(int((whole or "0") + part) * _UNITS[found[2]] / 10 ** len(part))
    if amount <= 0:
        raise UsageError(f"--capital {text}: a run needs some; write it as 1000000 or 10L.")
    return amount


def _day(text: str, last: bool, option: str) -> date:
    try:
        if month := re.fullmatch(r"(\d{4})-(\d{2})", text):
            year, number = int(month[1]), int(month[2])
            return date(year, number, monthrange(year, number)[1] if last else 1)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
    except ValueError:  # no such day or month: refused below
        pass
    raise UsageError(f"{option} {text}: no date; write it as 2024-01-31, or 2024-01 for the month.")


def first_day(text: str) -> date:
    """Return the day of a text such as `2024-01-31`, or the first of a month such as `2024-01`.

    >>> first_day("2024-02")
    datetime.date(2024, 2, 1)
    """
    return _day(text, last=False, option="--from")


def last_day(text: str) -> date:
    """Return the day of a text such as `2024-01-31`, or the last of a month such as `2024-01`.

    >>> last_day("2024-02")
    datetime.date(2024, 2, 29)
    """
    return _day(text, last=True, option="--to")


def _warmup(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--warmup {text}: no number of sessions; write it as 5.")
    return int(text)


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f'--set {text}: write it as name=value, such as --set "stop=25%".')
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # "25%", "weekly": text needs no quotes


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise UsageError(f"--as {text}: no name of a variable; write it as --as straddle.")
    return text


def _bar(text: str) -> str:
    try:
        duration(text)
    except UsageError as error:
        raise UsageError(f"--bar {text}: no duration; write it as 1min, 5min or 15s.") from error
    return text


def _slippage(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 <= value < float("inf"):
        raise UsageError(f"--slippage {text}: cannot be negative; write 0 for none.")
    return value


_FILL_AT = {"next_open": "next_open", "next-open": "next_open", "close": "close"}


def _fill_at(text: str) -> str:
    if text not in _FILL_AT:
        raise UsageError(f"--fill-at {text}: it is next_open (default) or close.")
    return _FILL_AT[text]


def _fraction(text: str) -> float:
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        return float("nan")


def _participation(text: str) -> float | str:
    share = _fraction(text)
    if text != "none" and not 0 < share <= 1:
        raise UsageError(
            f"--max-participation {text}: give a share of a bar's volume, such as 10%, or none."
        )
    return text if text == "none" else share


def _rate(text: str) -> float:
    rate = _fraction(text)
    if not -1 < rate < 1:
        raise UsageError(f"--rate {text}: give interest a year, such as 6.5% or 0.065.")
    return rate


# --- the parser ---


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of printing and exiting."""

    def error(self, message: str) -> NoReturn:
        """Refuse with the command's name and where its options are listed."""
        message = re.sub(r"argument (\S+): ignored explicit.*", r"\1 takes no value", message)
        command = self.prog
        lists = "%bestbt help" if command.startswith("%") else f"{command} --help"
        raise UsageError(f"{command}: {message}. `{lists}` lists the options.")


def _parser(command: str) -> Parser:
    parser = Parser(
        prog=command,
        usage="%(prog)s SYMBOL… [options]",
        description="Check the strategy and run it over stored prices.",
        add_help=False,
        allow_abbrev=False,
        # the width of a cell, not of the terminal the kernel was started from
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=100),
    )

    def option(*names: str, **more: Any) -> None:
        if more.get("action") is None:
            more.setdefault("default", None)
        parser.add_argument(*names, **more)

    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="such as NIFTY")
    option("--from", dest="start", type=first_day, metavar="DAY", help="first day: 2024-01-31")
    option("--to", dest="end", type=last_day, metavar="DAY", help="last day; 2024-01: the month's")
    option(
        "--warmup",
        type=_warmup,
        default=0,
        metavar="N",
        help="sessions before --from that indicators may read (default 0)",
    )
    option("--capital", type=parse_capital, metavar="SUM", help="1000000, 10L, 1Cr or 250k")
    option(
        "--set",
        dest="params",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the strategy; repeatable",
    )
    option(
        "--as",
        dest="name",
        type=_variable,
        default="run",
        metavar="NAME",
        help="the run's variable (default run)",
    )
    option("--store", metavar="URL", help="where prices are (default: your own store)")
    option("--bar", type=_bar, metavar="STEP", help="bars of the run, such as 1min")
    option(
        "--slippage",
        type=_slippage,
        metavar="RULE",
        help="0, ticks or percent, instead of the default",
    )
    option("--fees", metavar="NAME", help="market (the default), us, or none")
    option("--fill-at", type=_fill_at, metavar="WHEN", help="next_open (default) or close")
    option("--path", metavar="ORDER", help="nearest (default), pessimistic or optimistic")
    on = {"action": "store_const", "const": True}
    option("--limit-touch", **on, help="limits trade at a touch, not only a tick through")
    option("--stop-check", metavar="WHEN", help="touch (default) or close")
    option("--band", **on, help="PnL of the pessimistic and the optimistic path as well")
    option("--close-at-end", **on, help="close what is still held at the last mark")
    option("--cost", metavar="HOW", help="of what leaves a position: fifo (default) or average")
    option(
        "--max-participation",
        type=_participation,
        metavar="SHARE",
        help="of its bar's volume, above which a fill is called large: 10%% (default), or none",
    )
    option("--rate", type=_rate, help="interest a year that carries the spot, such as 6.5%%")
    option("--load", metavar="HOW", help="auto (default), contract, expiry, … of prices at once")
    option("--step", action="store_true", help="open paused at the first bar")
    option("--wait", action="store_true", help="return when the run has finished")
    option("--no-view", dest="view", action="store_false", help="text only")
    option("--check-only", action="store_true", help="check the cell, run nothing")
    option("--save", metavar="NAME", help="keep the run in the store, from its start on")
    option("--help", action="store_true", dest="help", help="show this text", default=None)
    return parser


_OPTIONS = frozenset(
    name for action in _parser("%%backtest")._actions for name in action.option_strings
)

# Options that a run takes by the same name; None: its own default.
RUN_OPTIONS = (
    *("capital", "bar", "slippage", "fees", "fill_at"),
    *("path", "limit_touch", "stop_check", "band", "rate", "close_at_end"),
    *("load", "save"),
    *("cost", "max_participation"),
)
