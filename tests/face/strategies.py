"""Strategies the tests of the face play, as text for cells and files, and as classes."""

from __future__ import annotations

from bestbt import Strategy, at

STRADDLE = '''
class ShortStraddle(Strategy):
    """Sell the at-the-money straddle every morning, stop each leg, leave before the close."""
    stop = "25%"

    @at("09:20")
    def enter(self):
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl=self.stop)

    @at("15:15")
    def leave(self):
        self.exit_all()
'''.lstrip()


class ShortStraddle(Strategy):
    """The same, as a class of a module."""

    stop = "25%"

    @at("09:20")
    def enter(self) -> None:
        for right in ("CE", "PE"):
            self.sell(self.get_atm(right), lots=1, sl=self.stop)

    @at("15:15")
    def leave(self) -> None:
        self.exit_all()


def cell(options: str = "", body: str = STRADDLE, symbol: str = "NIFTY") -> str:
    """Return a cell that runs a strategy to its end and shows text."""
    return f"%%backtest {symbol} --no-view --wait {options}".rstrip() + f"\n{body}"
