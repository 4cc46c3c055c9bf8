"""Why: one bar played again under trace, on a market small enough to know every value by hand."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from bestbt.cell.compile import compile_cell
from bestbt.cell.shown import short
from bestbt.cell.trace import CellText, trace
from bestbt.cell.why import Call, Condition, Line, Why
from bestbt.engine.order import Fill
from bestbt.engine.strategy import Strategy, at
from bestbt.errors import UsageError
from bestbt.testing import MemoryFeed, simulate

DAY = "2024-01-01"


@pytest.fixture
def feed() -> MemoryFeed:
    """Return five bars of an index and a call: closes 100 … 104, and 3 3 4 4 5."""
    made = MemoryFeed("NIFTY", days=[DAY, "2024-01-02"], minutes=5)
    made.add_index([100, 101, 102, 103, 104, 105, 106, 107, 108, 109])
    made.add_option("2024-01-02", 100, "CE", [3, 3, 4, 4, 5, 5, 6, 6, 7, 7])
    return made


def why(feed: MemoryFeed, strategy: Callable[[], Strategy], time: str, day: str = DAY) -> Why:
    return trace(simulate(strategy, feed, run=False), f"{day} {time}", "Test")


def line(call: Call, text: str) -> Line:
    """Return the one line of a call with a text in it."""
    found = [one for one in call.lines if text in one.text]
    assert len(found) == 1, (text, [one.text for one in call.lines])
    return found[0]


def shown(conditions: tuple[Condition, ...]) -> list[tuple[str, str]]:
    return [(c.shown, c.verdict) for whole in conditions for _, c in whole.walk()]


class Cross(Strategy):
    """Buys when its averages cross; by mistake it compares the wrong way round."""

    lots = 1

    def init(self) -> None:
        self.fast = self.indicator(lambda c: c - 0.5, "close")
        self.slow = self.indicator(lambda c: c - 1, "close")
        self.asked = 0

    def on_bar(self) -> None:
        self.asked += 1
        if self.fast[0] < self.slow[0] and not self.is_position_opened():  # the bug
            self.buy(self.option(100, "CE"), lots=self.lots)


# --- the bug is found


def test_the_line_whose_condition_was_false_is_shown_with_its_values(feed: MemoryFeed) -> None:
    found = why(feed, Cross, "09:18")
    (hook,) = found.hooks
    (number, condition) = found.false[0]
    assert "the bug" in next(one for one in hook.lines if one.number == number).text
    assert (condition.text, condition.shown) == ("self.fast[0] < self.slow[0]", "101.50 < 101.00")
    tested = line(hook, "the bug")
    assert shown(tested.conditions)[1:] == [
        ("101.50 < 101.00", "false"),
        ("not self.is_position_opened()", "not reached"),
    ]
    assert line(hook, "self.buy(").count == 0
    assert [(c.name, c.before, c.after) for c in found.changed] == [("asked", "2", "3")]
    text = found.to_text()
    assert "self.fast[0] < self.slow[0]  →  101.50 < 101.00  false" in text
    assert "·" in next(row for row in text.splitlines() if "self.buy(" in row)


def test_the_run_asked_about_is_not_touched(feed: MemoryFeed) -> None:
    run = simulate(Cross, feed)
    before = run.result.hash, run.bar
    trace(simulate(Cross, feed, run=False), 2, run=run)
    assert (run.result.hash, run.bar) == before
    assert sys.gettrace() is None


# --- lines, loops, helpers


class Busy(Strategy):
    level = 102.0

    def far(self, price: float, by: float = 0) -> bool:
        return price > self.level + by

    @at("09:17")
    def act(self) -> str:
        """Say something."""
        total = 0
        for step in (1, 2, 3):
            if step > 1:
                total += step
        # a comment
        name = "up" if self.far(self.spot.price) else "down"
        squares = [
            each * each
            for each in range(3)
        ]  # fmt: skip
        while total > 2:
            total -= 2
        if self.cooldown("once", "1min") and squares:
            self.day.note = name
        try:
            self.missing  # type: ignore[attr-defined]
        except AttributeError:
            total = -1
        return name


def test_a_loop_shows_its_last_pass_and_its_count(feed: MemoryFeed) -> None:
    (hook,) = why(feed, Busy, "09:17").hooks
    assert hook.name == "act"
    assert [v.text for v in line(hook, "for step").assigned] == ["3"]
    assert line(hook, "for step").count == 3
    tested = line(hook, "if step > 1")
    assert (tested.count, tested.conditions[0].trues) == (3, 2)
    assert tested.conditions[0].shown == "3 > 1"
    added = line(hook, "total += step")
    assert added.count == 2
    assert [(v.name, v.text) for v in added.values] == [("total", "2"), ("step", "3")]
    assert [(v.name, v.text) for v in added.assigned] == [("total", "5")]
    assert line(hook, "total -= 2").count == 2
    assert shown(line(hook, "while total").conditions) == [("1 > 2", "false")]
    assert line(hook, "while total").count == 3


def test_lines_that_are_no_code_are_told_from_lines_that_did_not_run(feed: MemoryFeed) -> None:
    (hook,) = why(feed, Busy, "09:17").hooks
    assert line(hook, "a comment").count is None
    assert line(hook, "Say something").count is None
    assert line(hook, "def act").count is None
    assert line(hook, "except AttributeError").count == 1
    assert line(hook, "total = -1").count == 1
    # a statement over several lines is one; what it shows stands on its first
    assert [line(hook, text).count for text in ("squares = [", "for each in")] == [1, 1]
    assert [v.text for v in line(hook, "squares = [").assigned] == ["[0, 1, 4]"]


def test_what_cannot_be_asked_is_told_from_what_the_line_did(feed: MemoryFeed) -> None:
    (hook,) = why(feed, Busy, "09:17").hooks
    (asked,) = line(hook, "cooldown").conditions
    assert [part.verdict for part in asked.parts] == ["true", "true"]
    assert asked.parts[0].shown == 'self.cooldown("once", "1min")'
    # which method of the author's a choice asked is not evaluated either: it may do anything
    (chosen,) = line(hook, "name =").conditions
    assert (chosen.shown, chosen.verdict) == ("self.far(self.spot.price)", "not known")
    (helper,) = hook.calls
    assert (helper.name, helper.returned) == ("far", "False")
    assert shown(line(helper, "return price").conditions) == [("101.00 > 102.00", "false")]


def test_locals_result_and_what_changed(feed: MemoryFeed) -> None:
    found = why(feed, Busy, "09:17")
    (hook,) = found.hooks
    assert {v.name: v.text for v in hook.locals} == {
        "total": "-1",
        "step": "3",
        "name": "'down'",
        "squares": "[0, 1, 4]",
    }
    assert hook.returned == "'down'"
    assert [(c.name, c.before, c.after) for c in found.changed] == [("day.note", "", "'down'")]


class Chatty(Strategy):
    """Everything that can be told apart only by its side effects."""

    calls = 0

    @property
    def costly(self) -> int:
        self.calls += 1
        return self.calls

    @at("09:17")
    def act(self) -> None:
        stack = [1, 2]
        if self.costly > 0 and stack.pop() > 1 and next(iter(stack)) and self.random.random() < 2:
            self.log("done")


def test_looking_changes_nothing(feed: MemoryFeed) -> None:
    plain: Any = simulate(Chatty, feed, run=False).run_to(1).strategy
    found = why(feed, Chatty, "09:17")
    assert [(c.name, c.after) for c in found.changed] == [("calls", str(plain.calls))]
    (hook,) = found.hooks
    assert {v.name: v.text for v in hook.locals} == {"stack": "[1]"}
    (asked,) = line(hook, "if self.costly").conditions
    assert asked.truth is True
    assert all(part.truth for part in asked.parts)  # learnt from the branch that was taken


# --- orders, refusals, fills


class Seller(Strategy):
    @at("09:16")
    def enter(self) -> None:
        self.sell(self.option(100, "CE"), lots=1, sl="50%")
        self.buy(None, lots=1)

    @at("09:17")
    def again(self) -> None:
        self.block_for_day()
        self.sell(self.option(100, "CE"), lots=1)

    def on_fill(self, fill: Fill) -> None:
        self.last = fill.price

    def on_stop(self, fill: Fill) -> None:
        self.stopped = True


def test_orders_placed_and_refused_with_the_reason(feed: MemoryFeed) -> None:
    found = why(feed, Seller, "09:16")
    assert [(o.text, o.status) for o in found.orders] == [
        ("SELL 50 NIFTY 2024-01-02 100 CE, entry, market", "working")
    ]
    assert found.refused == ("buy(None): it is None",)
    found = why(feed, Seller, "09:17")
    assert [hook.name for hook in found.hooks] == ["on_fill", "again"]
    assert found.fills == ("SELL 50 NIFTY 2024-01-02 100 CE at 3.00, entry (open)",)
    assert [o.text for o in found.orders] == [
        "BUY 50 NIFTY 2024-01-02 100 CE, stop, slm at 4.50",
    ]
    assert len(found.refused) == 1
    assert "blocked until" in found.refused[0]


def test_hooks_of_one_bar_come_in_order(feed: MemoryFeed) -> None:
    found = why(feed, Seller, "09:20")  # the call opens at 5, through the stop
    assert [hook.name for hook in found.hooks] == ["on_fill", "on_stop"]
    assert [(c.name, c.after) for c in found.changed] == [("last", "5.00"), ("stopped", "True")]


# --- nothing ran


def test_a_bar_without_a_hook_says_when_the_next_is(feed: MemoryFeed) -> None:
    found = why(feed, Busy, "09:16")
    assert found.hooks == ()
    assert found.next == "act() at 2024-01-01 09:17"
    assert "No hook ran at this bar. Next: act() at 2024-01-01 09:17." in found.to_text()
    assert why(feed, Busy, "09:18").next == "act() at 2024-01-02 09:17"
    assert why(feed, Busy, "09:18", "2024-01-02").next == ""


def test_the_next_hook_by_days_to_expiry(feed: MemoryFeed) -> None:
    class OnTheDay(Strategy):
        @at("09:19", dte=0)
        def leave(self) -> None:
            self.exit_all()

    assert why(feed, OnTheDay, "09:16").next == "leave() at 2024-01-02 09:19"


def test_before_the_first_bar(feed: MemoryFeed) -> None:
    found = trace(simulate(Seller, feed, run=False), -1, "Test")
    assert (found.time, found.hooks, found.next) == (None, (), "enter() at 2024-01-01 09:16")
    assert found.to_text().startswith("Test · before its first bar")


@pytest.mark.parametrize("at", [99, "noon", 3.5, None, "2023-01-01 09:20"])
def test_a_bar_that_is_none_is_refused(feed: MemoryFeed, at: Any) -> None:
    with pytest.raises(UsageError, match="why\\("):
        trace(simulate(Seller, feed, start=5, run=False), at)


# --- a strategy that raises


class Failing(Strategy):
    def on_bar(self) -> None:
        gap = self.spot.price - 102
        self.share = self.part(gap)

    def part(self, gap: float) -> float:
        return 1 / gap


def test_a_hook_that_raised_shows_the_line_and_its_values(feed: MemoryFeed) -> None:
    found = why(feed, Failing, "09:18")
    (hook,) = found.hooks
    assert found.error == "ZeroDivisionError: float division by zero" == hook.error
    called = line(hook, "self.part(gap)")
    assert called.error == found.error
    assert [(v.name, v.text) for v in called.values] == [("gap", "0.00")]
    assert line(hook.calls[0], "1 / gap").error == found.error
    assert {v.name: v.text for v in hook.locals} == {"gap": "0.00"}
    assert [c.name for c in found.changed] == []


def test_a_bar_behind_a_failure_is_refused_and_says_where_it_was(feed: MemoryFeed) -> None:
    with pytest.raises(UsageError, match=r"ZeroDivisionError at 2024-01-01 09:18"):
        why(feed, Failing, "09:20")


# --- cells


CELL = """
from bestbt import Strategy

def above(price, level):
    return price > level

class InCell(Strategy):
    def on_bar(self):
        if above(self.spot.price, 110):
            self.exit_all()
""".strip()


def test_numbers_are_those_beside_the_cell(feed: MemoryFeed) -> None:
    cell = compile_cell(CELL, "a cell that no file has", {}, offset=2)
    text = CellText(cell.filename, cell.offset, cell.source)
    found = trace(simulate(cell.make(), feed, run=False), 1, "Cell", text)
    (hook,) = found.hooks
    assert [(one.number, one.text.strip(), one.count) for one in hook.lines] == [
        (9, "def on_bar(self):", None),
        (10, "if above(self.spot.price, 110):", 1),
        (11, "self.exit_all()", 0),
    ]
    (helper,) = hook.calls
    assert shown(line(helper, "return").conditions) == [("101.00 > 110", "false")]


def test_code_without_source_has_its_lines(feed: MemoryFeed) -> None:
    cell = compile_cell(CELL, "a cell that no file has", {})
    found = trace(simulate(cell.make(), feed, run=False), 1)
    (hook,) = found.hooks
    assert [(one.number, one.text, one.count) for one in hook.lines] == [
        (7, "", None),
        (8, "", 1),
        (9, "", 0),
    ]


# --- tracing beside others


@pytest.fixture
def debugger() -> Iterator[list[str]]:
    """Attach what a debugger attaches; hand out what it hears."""
    heard: list[str] = []

    def hear(frame: Any, event: str, arg: Any) -> Any:
        heard.append(event)
        return hear

    sys.settrace(hear)
    yield heard
    sys.settrace(None)


def test_a_debugger_goes_on_and_is_told_of(feed: MemoryFeed, debugger: list[str]) -> None:
    before = sys.gettrace()
    found = why(feed, Seller, "09:16")
    assert sys.gettrace() is before
    heard = len(debugger)
    short(1)
    assert len(debugger) > heard
    if sys.version_info >= (3, 12):
        assert (len(found.hooks), found.remarks) == (1, ())
    else:
        assert "a debugger" in found.remarks[0]
        assert found.hooks == ()
    assert len(found.orders) == 1  # all the rest is there


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is of Python 3.12")
def test_monitoring_gives_its_place_back(feed: MemoryFeed) -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    free = [tool for tool in range(6) if monitoring.get_tool(tool) is None]
    why(feed, Seller, "09:16")
    assert [tool for tool in range(6) if monitoring.get_tool(tool) is None] == free
    for tool in free:
        monitoring.use_tool_id(tool, "taken")
    try:
        found = why(feed, Seller, "09:16")
    finally:
        for tool in free:
            monitoring.free_tool_id(tool)
    assert found.hooks == ()
    assert "taken" in found.remarks[0]


def test_other_threads_are_not_heard(feed: MemoryFeed) -> None:
    """The run may be playing the same code while one of its bars is looked at."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Strategy):
        waits = False

        def on_bar(self) -> None:
            if self.waits:
                begun.set()
                go_on.wait(10)

    other = threading.Thread(target=lambda: simulate(lambda: Slow(waits=True), feed))
    other.start()
    assert begun.wait(10)
    found = why(feed, Slow, "09:17")
    go_on.set()
    other.join(10)
    assert [(hook.name, hook.count) for hook in found.hooks] == [("on_bar", 1)]
    assert line(found.hooks[0], "if self.waits").count == 1


# --- what is not repeatable


def test_a_replay_that_goes_another_way_says_so(feed: MemoryFeed) -> None:
    days: list[int] = []

    class Outside(Strategy):
        def on_bar(self) -> None:
            days.append(1)
            if len(days) == 2:
                self.buy(self.option(100, "CE"), lots=1)

    run = simulate(Outside, feed)
    found = trace(simulate(Outside, feed, run=False), 3, run=run)
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith("Not repeatable")


# --- how values are written


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (21512.4, "21,512.40"),
        (0.18342, "0.1834"),
        (-3.0, "-3.00"),
        (float("nan"), "nan"),
        (True, "True"),
        (2024, "2024"),
        (1234567, "1,234,567"),
        (np.float64(2.5), "2.50"),
        (np.arange(3.0), "array, 3: 0.00 … 2.00"),
        ((1,), "(1,)"),
        ({"a": 1.0}, "{'a': 1.00}"),
        ({3, 1}, "{1, 3}"),
        (set(), "set()"),
        (list(range(100)), "[0, … 99], 100 items"),
        (Odd(), "<Odd: its repr raises RuntimeError>"),
        ([Odd()], "[<Odd: its repr raises RuntimeError>]"),
        (len, "len"),
        (Odd, "Odd"),
        (sys, "sys"),
    ],
)
def test_values_are_short_and_readable(value: Any, text: str) -> None:
    assert short(value) == text


def test_no_value_is_long_or_has_an_address() -> None:
    deep: list[Any] = []
    deep.append(deep)
    for value in ("x" * 500, [["y" * 80] * 9] * 9, deep, object(), lambda: 0, {1: {2: {3: {}}}}):
        assert len(short(value)) <= 60
        assert not re.search(r"0x[0-9a-f]{4}", short(value))


def test_two_numbers_that_look_alike_are_told_apart(feed: MemoryFeed) -> None:
    class Hair(Strategy):
        level = 101.001

        def on_bar(self) -> None:
            if self.spot.price >= self.level:
                self.exit_all()

    assert why(feed, Hair, "09:17").false[0][1].shown == "101.0 >= 101.001"


# --- text and HTML


def test_text_is_the_same_each_time_and_html_is_escaped(feed: MemoryFeed) -> None:
    class Markup(Strategy):
        def on_bar(self) -> None:
            self.name = "<b>&"

    first, second = (why(feed, Markup, "09:17") for _ in range(2))
    assert first == second
    assert first.to_text() == second.to_text() == repr(first)
    html = first.to_html()
    assert "&lt;b&gt;&amp;" in html
    assert "<b>&" not in html
    assert "var(--jp-ui-font-color1" in html
