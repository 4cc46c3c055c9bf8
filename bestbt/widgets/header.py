"""The first row: where the run stands, what it has made, and what moves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape

import ipywidgets as widgets

from bestbt.engine.events import EVENTS
from bestbt.widgets.format import NOTHING, date_time, decimal, signed, tone
from bestbt.widgets.hand import Hand
from bestbt.widgets.protocol import Progress, RunState, Viewable
from bestbt.widgets.scene import Scene

__all__ = ["Header"]

_STATES = {
    "running": "Running",
    "paused": "Paused",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": "Failed",
}
_FULL = 0.0  # a choice of None would be no choice
PACES: tuple[tuple[str, float], ...] = (
    ("full speed", _FULL),
    ("1 bar/s", 1.0),
    ("5 bars/s", 5.0),
    ("25 bars/s", 25.0),
    ("100 bars/s", 100.0),
)


class Header:
    """Figures and buttons.

    A click calls the run at once on whatever thread it comes, then *clicked*; what the buttons
    look like is left to the publisher.
    """

    def __init__(self, run: Viewable, hand: Hand, clicked: Callable[[], None]) -> None:
        self._run, self._hand, self._clicked = run, hand, clicked
        self._badges = ""
        self._facts = widgets.HTML()
        self._facts.add_class("bt-facts")
        self._pause = self._button("pause", "play or pause (space)", self._toggle, "bt-pause")
        self._stop = self._button("stop", "end the run", self._end, "bt-stop")
        step = self._button
        self._movers = [
            step("fast-backward", "to the close of the session before (,)",
                 lambda: hand.back_to("session"), "bt-session-back"),
            step("step-backward", "one bar back (←)", lambda: hand.step(-1), "bt-back"),
            step("step-forward", "one bar on (→)", lambda: hand.step(1), "bt-step"),
            step("fast-forward", "to the close of this session (.)",
                 lambda: hand.to("session"), "bt-session"),
        ]  # fmt: skip
        self._pace = widgets.Dropdown(
            options=PACES, value=run.pace or _FULL, tooltip="how fast it plays"
        )
        self._pace.add_class("bt-pace")
        self._pace.observe(self._paced, "value")
        self._goto = widgets.Combobox(
            placeholder="go to…",
            options=[*EVENTS, "10:30", "pnl < -5000"],
            tooltip="an event, a time or a condition, and Enter: "
            "fill, stop, 10:30, 2024-01-31 09:30, pnl < -5000",
            continuous_update=False,
        )
        self._goto.add_class("bt-goto")
        self._goto.observe(self._went, "value")
        back, one_back, one_on, on = self._movers
        transport = widgets.HBox(
            [back, one_back, self._pause, one_on, on, self._pace, self._goto, self._stop]
        )
        transport.add_class("bt-transport")
        top = widgets.HBox([self._facts, transport])
        top.add_class("bt-top")
        self._bar = widgets.HTML()
        self._bar.add_class("bt-progress")
        self._status = widgets.HTML()
        self._status.add_class("bt-status")
        self.box = widgets.VBox([top, self._bar, self._status])
        self.box.add_class("bt-header")

    def _button(self, icon: str, hint: str, do: Callable[[], object], name: str) -> widgets.Button:
        button = widgets.Button(icon=icon, tooltip=hint)
        button.add_class(name)

        def click(_: object) -> None:
            do()
            self._clicked()

        button.on_click(click)
        return button

    def draw(self, state: RunState, progress: Progress, scene: Scene | None) -> None:
        """Show where the run stands."""
        self._badges = badges_html(self._run, state, scene)
        self._facts.value = facts_html(self._run, state, progress, scene)
        share = progress.bar / progress.bars if progress.bars else 0.0
        self._bar.value = (
            f'<div class="bt-bar bt-{state}"><i style="width:{share:.2%}"></i>'
            f"<span>{share:.0%}</span></div>"
        )
        self._show_pace(self._run.pace or _FULL)
        self._pause.icon = "pause" if state == "running" else "play"
        self._pause.disabled = state not in ("running", "paused")
        self._stop.disabled = state not in ("running", "paused")
        for mover in self._movers[2:]:
            mover.disabled = state not in ("running", "paused")

    def _show_pace(self, pace: float) -> None:
        """Show a pace that was set in code, too."""
        if pace not in [known for _, known in self._pace.options]:
            self._pace.options = (*PACES, (f"{pace:g} bars/s", pace))
        self._pace.value = pace

    def tell(self, text: str, problem: str = "") -> None:
        """Write the status line; *problem* is one of the view, of a click, or of saving the run."""
        note = f' <span class="bt-problem">{escape(problem)}</span>' if problem else ""
        title = f'<span class="bt-title">{escape(self._run.title)}</span>'
        self._status.value = f"{self._badges}<span>{escape(text)}</span>{note}{title}"

    def _toggle(self) -> None:
        self._hand.toggle()

    def _end(self) -> None:
        self._hand.stop()

    def _paced(self, change: dict[str, float]) -> None:
        self._run.pace = change["new"] or None

    def _went(self, change: dict[str, str]) -> None:
        asked = change["new"].strip()
        if asked:
            self._goto.value = ""
            self._hand.to(asked)
            self._clicked()


def facts_html(run: Viewable, state: RunState, progress: Progress, scene: Scene | None) -> str:
    """Return what a trader looks at first."""
    time = progress.time
    facts: list[tuple[str, str, str, str]] = [
        ("symbol", escape(run.symbol), "", run.title),
        ("time", _clock(time), "", "exchange local time at which the newest bar has closed"),
    ]
    if scene is not None:
        spot = NOTHING if scene.spot is None else decimal(scene.spot)
        moved = "" if scene.change is None else f"{scene.change:+.2%}".replace("-", "−")
        facts += [
            ("spot", f"{spot} <i>{moved}</i>", tone(scene.change or 0.0), "since the last close"),
            ("VIX", NOTHING if scene.vix is None else decimal(scene.vix), "", "volatility index"),
            (
                "expiry",
                NOTHING if scene.expiry is None else f"{scene.expiry:%d %b} <i>{scene.dte}d</i>",
                "",
                "the nearest, and sessions until then",
            ),
            ("day", signed(scene.today, run.currency), tone(round(scene.today)), "PnL of the day"),
        ]
    facts.append(
        ("PnL", signed(progress.pnl, run.currency), tone(round(progress.pnl)), "after charges")
    )
    if scene is not None:
        facts.append(("margin", NOTHING, "", "margin is not computed yet"))
    cells = "".join(
        f'<div class="bt-fact bt-fact-{name.lower()}" title="{escape(hint, quote=True)}">'
        f'<span>{escape(name)}</span><b class="{colour}">{text}</b></div>'
        for name, text, colour, hint in facts
    )
    return cells


def badges_html(run: Viewable, state: RunState, scene: Scene | None) -> str:
    """Return what must not be overlooked."""
    badges = f'<span class="bt-state bt-{state}">{_STATES[state]}</span>'
    if run.synthetic:
        badges += '<span class="bt-badge">synthetic data</span>'
    if scene is not None and scene.blocked:
        hint = escape(scene.blocked, quote=True)
        badges += f'<span class="bt-badge bt-blocked" title="{hint}">blocked</span>'
    return badges


def _clock(time: datetime | None) -> str:
    return NOTHING if time is None else f"{time:%a} {date_time(time)}"


def status(
    state: RunState, progress: Progress, currency: str, met: str = "", speed: str = ""
) -> str:
    """Say in a sentence what the run does or how it ended."""
    at, pnl = date_time(progress.time), signed(progress.pnl, currency)
    if state == "running":
        return f"Running, {at} reached; PnL so far {pnl}{speed}."
    if state == "paused":
        why = f" ({met})" if met else ""
        return f"Paused at {at}{why}; PnL so far {pnl}. Play goes on from there."
    if state == "finished":
        return f"Finished at {at}; PnL {pnl}."
    if state == "stopped":
        return f"Stopped by you at {at}; everything below counts only up to there."
    return f"Failed at {at}; everything below counts only up to there."
