"""The payoff of what is held, at expiry and now."""

from __future__ import annotations

from html import escape

import ipywidgets as widgets
import numpy as np

from bestbt.widgets.format import decimal, signed
from bestbt.widgets.payoff import Payoff
from bestbt.widgets.plots import GREY, LINE, NOTHING, SELL, ValueAxis, bqplot, figure, send

__all__ = ["PayoffChart"]


class PayoffChart:
    """Two curves over the spot, the spot itself, and in words where they cross zero."""

    def __init__(self, height: int, currency: str) -> None:
        self._currency = currency
        self._x = bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)
        self._y = ValueAxis(5)
        scales = {"x": self._x, "y": self._y.scale}

        def line(colour: str, width: float, style: str = "solid") -> bqplot.Lines:
            return bqplot.Lines(
                x=NOTHING, y=NOTHING, scales=scales, colors=[colour], stroke_width=width,
                line_style=style,
            )  # fmt: skip

        self._expiry, self._now = line(LINE, 1.8), line(SELL, 1.4, "dashed")
        self._zero, self._spot = line(GREY, 1.0, "dotted"), line(GREY, 1.0)
        axis = bqplot.Axis(scale=self._x, grid_lines="none", tick_format=",.0f", num_ticks=9)
        self._chart = figure(
            [self._zero, self._spot, self._expiry, self._now], [axis, self._y.axis], self._x,
            self._y.scale, height, bottom=24,
        )  # fmt: skip
        self._said = widgets.HTML()
        self._said.add_class("bt-payoff-said")
        self.box = widgets.HBox([self._chart, self._said])
        self.box.add_class("bt-payoff")

    def show(self, payoff: Payoff | None) -> None:
        """Draw it; None: nothing that is held has one."""
        if payoff is None:
            for mark in (self._expiry, self._now, self._zero, self._spot):
                send(mark, x=NOTHING, y=NOTHING)
            self._said.value = '<div class="bt-note">Nothing is held that has a payoff.</div>'
            return
        x, at_expiry, now = payoff.spot, payoff.at_expiry, payoff.now
        low = float(min(at_expiry.min(), now.min()))
        high = float(max(at_expiry.max(), now.max()))
        pad = max((high - low) * 0.08, 1.0)
        send(self._x, min=float(x[0]), max=float(x[-1]))
        self._y.show(low - pad, high + pad)
        send(self._expiry, x=x, y=at_expiry)
        send(self._now, x=x, y=now)
        send(self._zero, x=x[[0, -1]], y=np.zeros(2))
        send(self._spot, x=np.full(2, payoff.here), y=np.array([low - pad, high + pad]))
        self._said.value = self._words(payoff)

    def _words(self, payoff: Payoff) -> str:
        here = int(np.abs(payoff.spot - payoff.here).argmin())
        at = "" if payoff.expiry is None else f" {payoff.expiry:%d %b}"
        best, worst = (signed(float(f(payoff.at_expiry)), self._currency) for f in (np.max, np.min))
        rows = [
            ("Now", signed(float(payoff.now[here]), self._currency)),
            (f"At expiry{at}, here", signed(float(payoff.at_expiry[here]), self._currency)),
            ("Most in this range", best),
            ("Least in this range", worst),
            ("Breakeven", ", ".join(decimal(b, 0) for b in payoff.breakevens) or "none in reach"),
        ]
        if payoff.left_out:
            rows.append(("Left out", f"{payoff.left_out} without a volatility"))
        cells = "".join(f"<div><span>{k}</span><b>{escape(v)}</b></div>" for k, v in rows)
        legend = '<i class="bt-at-expiry">━ at expiry</i> <i class="bt-at-once">╌ now</i>'
        return f'<div class="bt-words">{legend}{cells}</div>'
