"""The checker finds each mistake, at its line, with something to do about it."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest

from bestbt.cell.check import Surface, check
from bestbt.cell.members import _ELSEWHERE
from bestbt.cell.names import BOUND, LATER, bound_names
from bestbt.cell.surface import LATER as LATER_MEMBERS
from bestbt.cell.surface import LATER_ARGUMENTS
from bestbt.engine import indicators, strategy
from bestbt.engine.strategy import HOOKS, Strategy


def in_hook(body: str) -> str:
    """A strategy whose `on_bar` is these lines; they begin at line 3."""
    lines = "\n".join("        " + line for line in body.split("\n"))
    return f"class S(Strategy):\n    def on_bar(self):\n{lines}\n"


def in_class(body: str) -> str:
    """A strategy with an `on_bar` and these class-level lines; they begin at line 4."""
    lines = "\n".join("    " + line for line in body.split("\n"))
    return f"class S(Strategy):\n    def on_bar(self):\n        pass\n{lines}\n"


def only(problems):
    assert len(problems) == 1, [str(p) for p in problems]
    return problems[0]


# --- syntax and names ---


def test_a_syntax_error_is_shown_at_its_place(found):
    slip = only(found("class S(Strategy)\n    pass\n"))

    assert (slip.line, slip.severity, slip.code) == (1, "error", "syntax")
    assert slip.message == "expected ':'"


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("x = 1\n%matplotlib inline\n", 2, "a cell of their own"),
        ("x = 1\n!pip install talib\n", 2, "a cell of their own"),
        ("x = (1,\n", 1, ""),
        ("def f():\nreturn 1\n", 2, ""),
        ("if True:\n\tx = 1\n        y = 2\n", 3, ""),
        ("return 5\n", 1, ""),
        ("await f()\n", 1, "does not await"),
        ("x = '\0'\n", 1, ""),
    ],
)
def test_syntax_that_only_a_compiler_or_a_notebook_knows(found, source, line, text):
    slip = only(found(source))

    assert (slip.line, slip.code) == (line, "syntax")
    assert text in slip.hint


def test_python_warnings_of_a_cell_are_passed_on(found):
    slip = only(found(in_hook("if self.bar is 3:\n    self.exit_all()")))

    assert (slip.line, slip.severity, slip.code) == (3, "warning", "syntax")


@pytest.mark.parametrize(
    ("body", "name", "hint"),
    [
        ("self.buy(legg)", "legg", "Define it"),
        ("leg = 1\nself.buy(legg)", "legg", "Did you mean leg?"),
        ("sell(self.spot)", "sell", "Write self.sell."),
        ("self.log(stopp)", "stopp", "Did you mean stop?"),
        ("pd.DataFrame()", "pd", "Add `import pandas as pd`."),
        ("Fill", "Fill", "Add `from bestbt import Fill`."),
        ("crossed_below(1, 2)", "crossed_below", "crossed_below is not in this version."),
        ("get_amt('CE')", "get_amt", "Did you mean self.get_atm?"),
        ("self.get_atm(CE)", "CE", 'Write "CE", in quotes.'),
    ],
)
def test_undefined_names(found, body, name, hint):
    slip = only(found("stop = 1\n" + in_hook(body)))

    assert slip.message == f"undefined name {name!r}"
    assert hint in slip.hint
    assert slip.line == 4 + body.count("\n")


def test_a_parameter_without_self_is_an_undefined_name_with_that_hint(found):
    slip = only(found(in_hook("self.log(width)") + "    width = 3\n"))

    assert slip.hint == "Write self.width."


def test_names_of_the_notebook_count_as_defined_and_others_do_not(found):
    cell = in_hook("self.log(str(TABLE))")

    assert found(cell, "TABLE") == []
    assert only(found(cell)).code == "name"


def test_a_local_read_before_it_is_assigned(found):
    assert only(found("n = 0\n" + in_hook("n = n + 1\nself.log(str(n))"))).code == "name"


# --- which class ---


@pytest.mark.parametrize("source", ["", "\n\n", "x = 1\n", "# nothing\n"])
def test_a_cell_without_a_strategy(found, source):
    slip = only(found(source))

    assert (slip.code, slip.line) == ("no-strategy", 1)
    assert "class MyStrategy(Strategy):" in slip.hint


def test_a_class_that_forgot_its_base_is_named(found):
    slip = only(found("class Straddle:\n    def on_bar(self):\n        pass\n"))

    assert "Straddle" in slip.message
    assert "class Straddle(Strategy):" in slip.hint


def test_a_class_of_another_kind_is_no_strategy(found):
    assert only(found("class E(Exception):\n    pass\n")).code == "no-strategy"


def test_a_strategy_over_a_base_of_an_earlier_cell_is_checked_but_for_unknown_names(found):
    slips = found(
        "class S(Base):\n    now = 3\n    def on_fill(self):\n        self.unknown()\n", "Base"
    )

    assert [s.code for s in slips] == ["shadows", "hook-arguments"]


def test_two_strategies_are_named_with_their_lines(found):
    slip = only(found(in_hook("pass") + in_hook("pass").replace("class S", "class T")))

    assert slip.code == "two-strategies"
    assert "S (line 1)" in slip.message
    assert "T (line 4)" in slip.message


def test_a_strategy_that_can_do_nothing(found):
    slip = only(found("class S(Strategy):\n    stop = 1\n    def helper(self):\n        pass\n"))

    assert (slip.code, slip.line) == ("does-nothing", 1)


# --- members ---


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ('self.get_amt("CE")', "get_atm"),
        ('self.getAtm("CE")', "get_atm"),
        ("self.exitall()", "exit_all"),
        ("self.log(self.todays_pnl)", "today_pnl"),
        ("x = [self.spott for _ in range(2)]", "spot"),
        ("f = lambda: self.is_position_open()", "is_position_opened"),
    ],
)
def test_misspelt_members_are_suggested(found, body, meant):
    slip = only(found(in_hook(body)))

    assert (slip.code, slip.line) == ("attribute", 3)
    assert slip.hint == f"Did you mean self.{meant}?"


def test_members_of_other_frameworks_have_their_names_here(found, face):
    assert only(found(in_hook("x = self.position"))).hint == "Use self.get_active_position()."
    for meant in _ELSEWHERE.values():
        assert meant.partition(".")[0].removesuffix("()") in face.members


def test_self_outside_a_method(found):
    slip = only(found(in_class("price = self.spot")))

    assert slip.hint.startswith("Only a method has it")


def test_the_users_own_attributes_are_suggested_too(found):
    slip = only(found(in_hook("self.trades = 1\nself.log(self.traeds)")))

    assert slip.hint == "Did you mean self.trades?"


def test_what_the_manual_promises_for_later_is_refused_as_such(found):
    slip = only(found(in_hook("self.margin_if([])")))

    assert slip.hint == "margin_if is not in this version."


def test_a_limit_that_nothing_reads_has_no_effect(found):
    assert only(found(in_class("max_loss_day = 5000"))).code == "no-effect"
    assert found(in_class("max_loss = 5\ndef on_end(self):\n    self.log(self.max_loss)")) == []


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("self.sell(self.spot, lot=1)", "unknown argument 'lot'", "Did you mean 'lots'?"),
        ("self.sell(self.spot, stop=1, lots=1)", "unknown argument 'stop'", ""),
        ("self.buy(self.spot, risk=5)", "risk= is not in this version", "lots= or qty="),
        ("self.buy(self.spot, reenter=2)", "reenter= is not in this version", "on_stop"),
        ("self.buy(self.spot, group='a')", "group= is not in this version", "tag="),
        ("self.get_pnl(group='a')", "group= is not in this version", "tag="),
        ("self.sell(lots=1)", "missing a required argument: 'contract'", "(contract"),
        ("self.exit_all(1)", "too many positional arguments", "()"),
        ("self.exit_all(tag='x')", "unknown argument 'tag'", "takes no arguments"),
    ],
)
def test_arguments_are_held_against_the_signature(found, body, message, hint):
    slip = only(found(in_hook(body)))

    assert slip.code == "arguments"
    assert message in slip.message
    assert hint in slip.hint


@pytest.mark.parametrize("verb", LATER_ARGUMENTS)
def test_what_is_called_missing_is_missing(verb):
    there = inspect.signature(getattr(Strategy, verb)).parameters
    assert set(LATER_ARGUMENTS[verb]).isdisjoint(there)


@pytest.mark.parametrize("body", ["self.sell(*a, **k)", "self.sell(self.spot, **k)"])
def test_starred_arguments_are_left_to_the_run(found, body):
    assert found(in_hook(f"a, k = [], {{}}\n{body}")) == []


def test_values_are_not_called_and_methods_are(found):
    assert only(found(in_hook("self.log(str(self.now()))"))).code == "not-a-method"
    assert only(found(in_hook("x = self.random()"))).hint.startswith("Write self.random ")
    assert only(found(in_hook("if not self.is_position_opened: pass"))).code == "not-called"
    assert only(found(in_hook("if self.get_pnl > 3: pass"))).code == "not-called"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (in_class("now = 3"), 4),
        (in_class("def buy(self): pass"), 4),
        (in_class("on_fill = 3"), 4),
        (in_class("today: int = 3"), 4),
        (in_class("a, spot = 1, 2"), 4),
        (in_class("def __init__(self): pass"), 4),
        (in_class("def _bind(self): pass"), 4),
        (in_hook("self.today = 3"), 3),
        (in_hook("self.day = {}"), 3),
        (in_hook("self._desk = None"), 3),
        (in_hook("self.sell = self.buy"), 3),
        (in_hook("for self.bar in range(3): pass"), 3),
    ],
)
def test_names_of_the_base_are_not_to_be_taken(found, source, line):
    slip = only(found(source))

    assert (slip.code, slip.line, slip.severity) == ("shadows", line, "error")


def test_overriding_a_hook_or_using_the_day_is_no_shadow(found):
    assert found(in_class("def init(self):\n    self.day.seen = 1")) == []


# --- the future, the clock, chance, loops ---


@pytest.mark.parametrize(
    "expression",
    [
        "df.shift(-1)",
        "df['close'].shift(periods=-2)",
        "df.diff(-1)",
        "df.pct_change(-5)",
        "np.roll(df, -1)",
        "df.rolling(5, center=True).mean()",
        "df.bfill()",
        "df.fillna(method='bfill')",
        "df.reindex([1], method='nearest')",
        "df.interpolate(limit_direction='both')",
    ],
)
def test_look_ahead(found, expression):
    slip = only(found(in_hook(f"x = {expression}"), "df"))

    assert (slip.code, slip.severity, slip.line) == ("look-ahead", "error", 3)
    assert found(in_hook(f"x = {expression}  # bestbt: ok"), "df") == []


def test_the_next_row_is_a_warning(found):
    slip = only(found(in_hook("for i in range(3):\n    x = df.iloc[i + 1]"), "df"))

    assert (slip.code, slip.severity, slip.line) == ("look-ahead", "warning", 4)


def test_an_indicator_has_no_future(found):
    cell = in_hook("x = self.ema[1] + self.ema[0] + self.ema[-1]")
    cell += "    def init(self):\n        self.ema = self.indicator(np.cumsum, 'close')\n"
    slip = only(found(cell))

    assert "self.ema[1]" in slip.message


def test_a_chain_of_calls_is_marked_where_the_mistake_is(found):
    slip = only(found(in_hook("x = (\n    df\n    .dropna()\n    .shift(-1)\n)"), "df"))

    assert slip.line == 6


@pytest.mark.parametrize(
    ("imports", "call", "instead"),
    [
        ("from datetime import datetime", "datetime.now()", "self.now"),
        ("import datetime", "datetime.datetime.utcnow()", "self.now"),
        ("import datetime as d", "d.date.today()", "self.today"),
        ("from datetime import date", "date.today()", "self.today"),
        ("import time", "time.time()", "self.now"),
        ("from time import time", "time()", "self.now"),
        ("import time", "time.sleep(1)", "use @at or @every"),
        ("import pandas as pd", "pd.Timestamp.now()", "self.now"),
    ],
)
def test_the_wall_clock(found, imports, call, instead):
    slip = only(found(f"{imports}\n" + in_hook(f"x = {call}")))

    assert (slip.code, slip.severity, slip.line) == ("wall-clock", "error", 4)
    assert instead in slip.hint


def test_the_wall_clock_by_names_of_an_earlier_cell(found):
    assert only(found(in_hook("x = datetime.now()"), "datetime")).code == "wall-clock"
    assert only(found(in_hook("x = pd.Timestamp.now()"), "pd")).code == "wall-clock"


@pytest.mark.parametrize(
    "call",
    [
        "random.random()",
        "random.choice([1])",
        "np.random.rand(3)",
        "np.random.default_rng().random()",
        "random.Random()",
        "uuid.uuid4()",
    ],
)
def test_chance_without_a_seed(found, call):
    slip = only(found("import random, uuid\n" + in_hook(f"x = {call}")))

    assert (slip.code, slip.severity) == ("randomness", "error")
    assert "self.random" in slip.hint


def test_seeded_chance_is_silent_and_top_level_habits_only_warn(found):
    assert found("import random\nrandom.seed(3)\n" + in_hook("x = random.random()")) == []
    slips = found(in_hook("pass") + "import time\nt = time.time()\nx = np.random.rand()\n")
    assert [(s.code, s.severity) for s in slips] == [
        ("wall-clock", "warning"),
        ("randomness", "warning"),
    ]


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n    self.bar",
        "while 1:\n    for x in []:\n        break",
        "while True:\n    def f():\n        return 1",
        "while True:\n    if self.bar:\n        continue",
    ],
)
def test_endless_loops(found, loop):
    slip = only(found(in_hook(loop)))

    assert (slip.code, slip.line) == ("endless-loop", 3)


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n    if self.bar:\n        break",
        "while True:\n    return",
        "while True:\n    with open('x'):\n        raise ValueError",
        "while True:\n    for x in []:\n        pass\n    else:\n        break",
        "while True:\n    match self.bar:\n        case 1:\n            break",
        "while self.bar < 3:\n    pass",
    ],
)
def test_loops_with_an_end(found, loop):
    assert found(in_hook(loop)) == []


# --- hooks and schedule ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_bars(self)", "on_bar"),
        ("onfill(self, fill)", "on_fill"),
        ("on_fills(self, fill)", "on_fill"),
        ("OnBar(self)", "on_bar"),
        ("next(self)", "on_bar"),
        ("initialize(self)", "init"),
        ("int(self)", "init"),
    ],
)
def test_misspelt_hooks(found, name, meant):
    slip = only(found(f"class S(Strategy):\n    def {name}:\n        pass\n"))

    assert (slip.code, slip.line) == ("misspelt-hook", 2)
    assert slip.hint == f"Did you mean {meant}?"


def test_a_hook_of_nobody_is_a_warning_and_one_of_later_an_error(found):
    nobody, later = found(
        in_class("def on_moonrise(self): pass\ndef on_margin_call(self, f): pass")
    )

    assert (nobody.severity, later.severity) == ("warning", "error")
    assert "not in this version" in later.message


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("def on_fill(self): pass", "def on_fill(self, fill):"),
        ("def on_end(): pass", "def on_end(self):"),
        ("def on_expiry(self, a, b): pass", "def on_expiry(self, contract):"),
        ("def on_reject(self, *, order): pass", "def on_reject(self, order):"),
        ("@at('10:00')\ndef go(self, bar): pass", "def go(self):"),
    ],
)
def test_hooks_take_what_the_engine_gives(found, method, right):
    slip = only(found(in_class(method)))

    assert slip.code == "hook-arguments"
    assert slip.hint == f"Write `{right}`."


def test_hooks_that_would_run_none_of_their_lines(found):
    assert only(found(in_class("async def on_end(self): pass"))).code == "hook-arguments"
    assert only(found(in_class("def on_end(self):\n    yield 1"))).code == "hook-arguments"


def test_hooks_in_the_wrong_place(found):
    nested = "def init(self):\n    def on_fill(self, fill):\n        pass"
    assert only(found(in_class(nested))).message.endswith("it stands inside another function")
    outside = in_hook("pass") + "@at('09:20')\ndef enter(self):\n    pass\n"
    assert only(found(outside)).message.endswith("it stands outside the strategy's class")


def test_two_methods_of_one_name(found):
    slip = only(found(in_class("@at('10:00')\ndef a(self): pass\n@at('11:00')\ndef a(self): pass")))

    assert (slip.code, slip.line) == ("twice", 7)
    assert "line 5" in slip.message


@pytest.mark.parametrize(
    ("decorator", "severity", "text"),
    [
        ('@at("15:30")', "error", "the session ends at 15:30"),
        ('@at("18:00")', "error", "the session ends at 15:30"),
        ('@at("08:00")', "error", "the session opens at 09:15"),
        ('@at("close")', "error", "the session ends"),
        ('@at("close+5min")', "error", "the session ends"),
        ('@at("open-5min")', "error", "the session opens"),
        ('@at("9.20")', "error", "no time of day"),
        ('@at("25:00")', "error", "no time of day"),
        ("@at(920)", "error", "no time of day"),
        ("@at", "error", "needs to be told when"),
        ("@at()", "error", "missing a required argument"),
        ('@at("10:00", weekday=3)', "error", "unknown argument 'weekday'"),
        ('@at("09:15")', "warning", "yesterday's last"),
        ('@at("open")', "warning", "yesterday's last"),
        ('@every("5min", start="14:00", end="10:00")', "error", "starts after it ends"),
        ('@every("5min", start="16:00")', "error", "the session ends"),
        ('@every("5min", end="09:00")', "error", "the session opens"),
        ('@every("often")', "error", "no period"),
        ('@every("0min")', "error", "no period"),
        ('@every("5min", "10")', "error", "no time of day"),
        ('@on_expiry_day("15:45")', "error", "the session ends"),
    ],
)
def test_schedules_that_cannot_fire(found, decorator, severity, text):
    slip = only(found(in_class(f"{decorator}\ndef go(self): pass")))

    assert (slip.code, slip.severity, slip.line) == ("schedule", severity, 4)
    assert text in slip.message


def test_times_given_by_a_constant_are_seen_through(found):
    cell = 'LATE = "15:45"\n' + in_class("@at(LATE)\ndef go(self): pass")

    assert "15:45" in only(found(cell)).message


def test_session_times_are_those_given(found):
    late = Surface.of(Strategy, close="15:40")
    cell = in_class('@at("15:35")\ndef go(self): pass')

    assert found(cell, face=late) == []
    assert only(found(cell)).code == "schedule"


# --- the tables behind it ---


def test_every_bound_name_is_there_and_none_of_later_is():
    assert set(bound_names()) == set(BOUND)
    assert not [n for n in LATER if hasattr(strategy, n) or hasattr(indicators, n)]
    assert not [n for n in LATER_MEMBERS if hasattr(Strategy, n)]


def test_the_face_of_the_engine(face):
    assert set(face.hooks.items()) == set(HOOKS.items())
    assert {"buy", "sell", "get_atm", "exit_all"} <= set(face.verbs)
    assert {"now", "spot", "day", "random", "_desk"} <= face.values
    assert "self" not in face.verbs["buy"].parameters


def test_the_base_annotates_every_attribute_it_makes(face):
    """The face knows instances by annotations: one that is missing would be called misspelt."""
    made = {
        node.attr
        for klass in Strategy.__mro__[:-1]
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(klass))))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }

    assert made
    assert made <= face.members


def test_columns_count_characters_and_lines_are_pythons(found):
    slip = only(found("x = 1\n\x0c" + in_hook('self.log("₹"); self.b2')))

    assert (slip.line, slip.column) == (4, 8 + len('self.log("₹"); '))


def test_problems_come_by_line(found):
    slips = found(in_hook("self.a1\nself.b2\nx = c3\nself.d4"))

    assert [s.line for s in slips] == [3, 4, 5, 6]


def test_checking_executes_nothing(face):
    check("raise SystemExit\n" + in_hook("pass"), face)
