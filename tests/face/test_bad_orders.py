"""An order that cannot be is told in one line, with the line of the cell that asked for it."""

from __future__ import annotations

from textwrap import indent

import pytest

from tests.face.shell import Answer, Notebook
from tests.face.strategies import cell

CELL = '''
from datetime import date


class Mistaken(Strategy):
    """Hold two options of the week's expiry (the 4th), and make one mistake."""

    @at("09:20")
    def enter(self):
        if not hasattr(self, "call"):
            self.call, self.put = self.get_atm("CE"), self.get_atm("PE")
            self.bought = self.buy(self.call, lots=1)

    @at("09:30")
    def err(self):
{mistake}
'''.lstrip()


def played(notebook: Notebook, mistake: str) -> tuple[Answer, str]:
    """Run a cell with a mistake; return its answer, and the last line of the mistake by number."""
    code = cell(body=CELL.format(mistake=indent(mistake, " " * 8)))
    lines = code.rstrip().splitlines()
    return notebook(code), f"  line {len(lines)}: {lines[-1].strip()}"


CALL = "NIFTY 2024-01-04 21800 CE"


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (
            "self.sell(self.spot, lots=1)",
            "OrderError: sell(NIFTY): an index cannot be traded; trade its future or options.",
        ),
        (
            "if self.today.day == 5:\n    self.sell(self.call, lots=1)",
            f"OrderError: sell({CALL}): it expired on 2024-01-04.",
        ),
        (
            "self.buy(self.call, lots=0)",
            f"OrderError: buy({CALL}): 0 lots; whole and positive.",
        ),
        (
            "self.buy(self.call, lots=1.5)",
            f"OrderError: buy({CALL}): 1.5 lots; whole and positive.",
        ),
        (
            "self.buy(self.call, qty=75)",
            f"OrderError: buy({CALL}): 75 units are no whole lots of 50.",
        ),
        (
            "self.buy(self.call, lots=1, type='limit')",
            "OrderError: buy(type='limit') needs price=, a price; got None.",
        ),
        (
            "self.buy(self.call, lots=1, sl='25')",
            "OrderError: '25' has no unit: write '25%', '25pts', or 25 without quotes if it is a "
            "price.",
        ),
        (
            "self.cancel_order(99)",
            "OrderError: cancel_order(99): there is no such order; the run has ids 0 to 0.",
        ),
        (
            "self.modify_order(self.bought, price=10)",
            "OrderError: modify_order(0): <Order 0 BUY 50 NIFTY 2024-01-04 21800 CE market, "
            "filled: open> works no more.",
        ),
        (
            "self.roll(self.call, expiry=date(2024, 1, 9))",
            f"ExpiryNotFound: roll({CALL}): NIFTY has no expiry on 2024-01-09; the next listed "
            "are 2024-01-04, 2024-01-11, 2024-01-18.",
        ),
        (
            "self.roll(self.call, to='detla:0.2')",
            "OrderError: roll(to='detla:0.2'): Did you mean 'delta'?",
        ),
        (
            "self.combo([Buy(self.call, 1)])",
            "OrderError: combo(): give two legs or more: combo([Sell(call, 1), Buy(wing, 1)]).",
        ),
        (
            "self.cancel_order(self.bought)",
            "OrderError: cancel_order(0): <Order 0 BUY 50 NIFTY 2024-01-04 21800 CE market, "
            "filled: open> works no more.",
        ),
        (
            "self.block_for_n_days(-1)",
            "UsageError: block_for_n_days(-1): a block lasts a whole number of sessions, 1 "
            "(today's) or more; unblock() ends one.",
        ),
    ],
)
def test_a_mistake_is_one_message_and_the_line(notebook: Notebook, mistake: str, told: str) -> None:
    answer, line = played(notebook, mistake)
    assert f"{type(answer.error).__name__}: {answer.error}" == told
    assert answer.told.strip().splitlines() == [told, line]


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ("self.buy(None, lots=1)", "buy(None): it is None"),
        (
            "self.buy(self.get_by_premium('CE', 9000, side='above'), lots=1)",
            "buy(None): no NIFTY 2024-01-04 CE has a fresh price of 9000 or more (max_age=5)",
        ),
        ("self.exit(None)", "exit(None): there is nothing to exit"),
        ("self.roll(None)", "roll(None): there is nothing to roll"),
        ("self.roll(self.put)", "roll(NIFTY 2024-01-04 21800 PE): nothing of it is held"),
    ],
)
def test_what_a_picker_did_not_find_is_a_line_of_the_log(
    notebook: Notebook, mistake: str, told: str
) -> None:
    answer, _ = played(notebook, f"if self.today.day == 1:\n    {mistake}")
    assert answer.error is None
    log = notebook.names["run"].log
    assert log["text"][log["kind"] == "refused"].tolist() == [told]
