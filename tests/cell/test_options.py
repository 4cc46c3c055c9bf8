"""The magic's line: what it means, and what it refuses with which words."""

from __future__ import annotations

import contextlib
import io
from datetime import date

import pytest

from bestbt.cell.options import CellOptions, parse_capital, parse_options
from bestbt.errors import UsageError


def test_a_symbol_alone_leaves_the_rest_to_the_run():
    assert parse_options("NIFTY") == CellOptions(("NIFTY",))


def test_the_line_of_the_manual():
    asked = parse_options(
        "NIFTY --from 2024-01-01 --to 2024-03-28 --capital 10L --as straddle --warmup 5"
    )

    assert (asked.start, asked.end) == (date(2024, 1, 1), date(2024, 3, 28))
    assert (asked.capital, asked.name, asked.warmup) == (1_000_000, "straddle", 5)


def test_flags_and_texts():
    asked = parse_options(
        "NIFTY BANKNIFTY --step --wait --no-view --check-only --save 'my run' --store sqlite:///x "
        "--bar 5min --slippage 2ticks --fees none --fill-at close --rate 6.5%"
    )

    assert asked.symbols == ("NIFTY", "BANKNIFTY")
    assert (asked.step, asked.wait, asked.view, asked.check_only) == (True, True, False, True)
    assert (asked.save, asked.store, asked.bar) == ("my run", "sqlite:///x", "5min")
    assert (asked.slippage, asked.fees, asked.fill_at) == ("2ticks", "none", "close")
    assert asked.rate == 0.065
    assert parse_options("NIFTY --slippage 0").slippage == 0.0


def test_parameters_are_literals_or_else_text():
    asked = parse_options(
        'NIFTY --set n=3 --set stop=25% --set "on=[1, 2]" --set off=-1.5 --set x='
    )

    assert asked.params == {"n": 3, "stop": "25%", "on": [1, 2], "off": -1.5, "x": ""}


@pytest.mark.parametrize(
    ("line", "first", "last"),
    [
        ("--from 2024-02 --to 2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("--from=2023-12 --to=2023-12-05", date(2023, 12, 1), date(2023, 12, 5)),
        ("--from 2024-01-05 --to 2024-01-05", date(2024, 1, 5), date(2024, 1, 5)),
    ],
)
def test_days_and_months(line, first, last):
    asked = parse_options("NIFTY " + line)

    assert (asked.start, asked.end) == (first, last)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1000000", 1e6),
        ("10L", 1e6),
        ("10l", 1e6),
        ("1Cr", 1e7),
        ("0.1cr", 1e6),
        ("250k", 250e3),
        ("2.5 lakh", 250e3),
        ("1,00,000", 1e5),
        ("1_000", 1e3),
        (".5M", 5e5),
        ("1234.56", 1234.56),
    ],
)
def test_capital(text, amount):
    assert parse_capital(text) == amount


@pytest.mark.parametrize(
    "text", ["ten", "", "-5", "0", "1e6", "10X", "10LL", "L", "1.2.3", "٣", "inf"]
)
def test_capital_that_is_no_amount(text):
    with pytest.raises(UsageError, match="10L"):
        parse_capital(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "No symbol was given"),
        ("NIFTY --form 2024-01-01", "no option --form. Did you mean '--from'?"),
        ("NIFTY --fr 2024-01-01", "no option --fr"),
        ("NIFTY -c 3", "no option -c"),
        ("NIFTY --sweep stop=1:2:3", "--sweep is not in this version"),
        ("NIFTY --no-margin", "--no-margin is not in this version"),
        ("NIFTY --preset=algotest", "--preset is not in this version"),
        ("NIFTY --check-lookahead", "--check-lookahead is not in this version"),
        ("NIFTY --from", "--from: expected one argument"),
        ("NIFTY --wait=3", "--wait takes no value"),
        ("NIFTY --from 2024-02-30", "--from 2024-02-30: no date"),
        ("NIFTY --to 31/01/2024", "--to 31/01/2024: no date"),
        ("NIFTY --to 2024-13", "--to 2024-13: no date"),
        ("NIFTY --from 2024-02-01 --to 2024-01-31", "is after --to 2024-01-31"),
        ("NIFTY --capital lots", "--capital lots: no amount of money; write it as 1000000, 10L"),
        ("NIFTY --as 3x", "--as 3x: no name of a variable"),
        ("NIFTY --as class", "--as class: no name of a variable"),
        ("NIFTY --set stop", "--set stop: write it as name=value"),
        ("NIFTY --set a=1 --set a=2", "--set a was given twice"),
        ("NIFTY --warmup -3", "--warmup -3"),
        ("NIFTY --bar often", "--bar often: no duration"),
        ("NIFTY --slippage -1", "--slippage -1: cannot be negative"),
        ("NIFTY --fill-at noon", "--fill-at noon: it is next_open"),
        ("NIFTY --rate high", "--rate high: give interest a year"),
        ("NIFTY 'x", "close the quote"),
    ],
)
def test_what_is_refused_and_how(line, said):
    with pytest.raises(UsageError) as refused:
        parse_options(line)

    assert said in str(refused.value)


def test_nothing_is_printed_and_help_is_returned():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        text = parse_options("NIFTY --help --nonsense").help
        with pytest.raises(UsageError):
            parse_options("NIFTY --nonsense")

    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert text is not None
    for option in ("--from", "--capital", "--set", "--check-only", "--save"):
        assert option in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_check_needs_no_symbol():
    assert parse_options("--check-only").symbols == ()
