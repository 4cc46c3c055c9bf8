"""The progress bar: there while something is done, gone before anything else is said."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from itertools import count
from typing import Any

import pytest
from tqdm.notebook import tqdm as notebook_bar

from bestbt.progress import progress_bar
from tests.screen import Screen


def test_nothing_done_shows_nothing() -> None:
    with redirect_stderr(Screen()) as screen, progress_bar("day.csv", " contracts") as tell:
        tell(0, 0, "reading")
    assert screen.getvalue() == ""


def test_a_bar_is_gone_when_the_work_is_done() -> None:
    with redirect_stderr(Screen()) as screen, progress_bar("day.csv", " contracts") as tell:
        tell(1, 2, "NIFTY")
        assert "day.csv:  50%" in screen.left
        tell(2, 2, "INDIAVIX")
    assert screen.left == ""


def test_a_bar_says_percent_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(100.0)
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    with redirect_stderr(Screen()) as screen, progress_bar("day.csv", " contracts") as tell:
        tell(1, 8, "NIFTY")
        tell(2, 8, "INDIAVIX")
        said = re.search(r"25%.*2/8 \[00:0\d<00:\d\d, .*s/ contracts, INDIAVIX\]", screen.left)
        assert said, screen.left


def test_a_bar_is_gone_before_an_error_is_told() -> None:
    def fail() -> None:
        with progress_bar("synthetic market", " expiries") as tell:
            tell(1, 4, "2024-01-04")
            assert "synthetic market:  25%" in screen.left
            assert "2024-01-04" in screen.left
            raise ValueError("half")

    with redirect_stderr(Screen()) as screen, pytest.raises(ValueError, match="half"):
        fail()
    assert screen.left == ""


def test_what_is_no_terminal_gets_no_bar() -> None:
    with (
        redirect_stderr(io.StringIO()) as log,
        progress_bar("synthetic market", " expiries") as tell,
    ):
        tell(1, 4, "2024-01-04")
    assert log.getvalue() == ""


def test_whoever_wants_no_bar_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    with redirect_stderr(Screen()) as screen, progress_bar("day.csv", " contracts") as tell:
        tell(1, 2, "NIFTY")
    assert screen.getvalue() == ""


def test_a_notebook_takes_an_unfinished_bar_away_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Seen(notebook_bar):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr("tqdm.auto.tqdm", Seen)
    monkeypatch.setattr("tqdm.notebook.display", lambda _: None)

    def fail() -> None:
        with progress_bar("day.csv", " contracts") as tell:
            tell(1, 5, "NIFTY")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fail()
    assert made[0].container.comm is None  # closed
