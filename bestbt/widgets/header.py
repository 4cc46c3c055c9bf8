"""Title, state, progress, and the two buttons."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets as widgets

from bestbt.widgets.format import date_time, signed
from bestbt.widgets.protocol import Progress, RunState, Viewable

__all__ = ["Header"]

_STATES = {
    "running": "Running",
    "paused": "Paused",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": "Failed",
}


class Header:
    """The lines above the charts.

    A click calls the run at once on whatever thread it comes, then *clicked*; what the buttons
    look like is left to the publisher.
    """

    def __init__(self, run: Viewable, clicked: Callable[[], None]) -> None:
        self._run, self._clicked = run, clicked
        badge = '<span class="bt-badge">synthetic data</span>' if run.synthetic else ""
        title = widgets.HTML(f'<span class="bt-title">{escape(run.title)}</span>{badge}')
        title.add_class("bt-heading")
        self._state = widgets.HTML()
        self._state.add_class("bt-state-box")
        self._pause = widgets.Button(description="Pause", icon="pause")
        self._stop = widgets.Button(description="Stop", icon="stop")
        self._pause.add_class("bt-pause")
        self._stop.add_class("bt-stop")
        self._pause.on_click(self._toggle)
        self._stop.on_click(self._end)
        top = widgets.HBox([title, self._state, self._pause, self._stop])
        top.add_class("bt-top")
        self._bar = widgets.HTML()
        self._bar.add_class("bt-progress")
        self._status = widgets.HTML()
        self._status.add_class("bt-status")
        self.box = widgets.VBox([top, self._bar, self._status])
        self.box.add_class("bt-header")

    def draw(self, state: RunState, progress: Progress) -> None:
        """Show the state and how far the run has come."""
        self._state.value = f'<span class="bt-state bt-{state}">{_STATES[state]}</span>'
        share = progress.bar / progress.bars if progress.bars else 0.0
        self._bar.value = (
            f'<div class="bt-bar bt-{state}"><i style="width:{share:.2%}"></i>'
            f"<span>{share:.0%}</span></div>"
        )
        paused, over = state == "paused", state not in ("running", "paused")
        self._pause.description = "Resume" if paused else "Pause"
        self._pause.icon = "play" if paused else "pause"
        self._pause.disabled = self._stop.disabled = over

    def tell(self, text: str, problem: str = "") -> None:
        """Write the status line; *problem* is one of the view itself, or of saving the run."""
        note = f' <span class="bt-problem">{escape(problem)}</span>' if problem else ""
        self._status.value = f"<span>{escape(text)}</span>{note}"

    def _toggle(self, _: object) -> None:
        if self._run.state == "paused":
            self._run.resume()
        else:
            self._run.pause()
        self._clicked()

    def _end(self, _: object) -> None:
        self._run.stop()
        self._clicked()


def status(state: RunState, progress: Progress, currency: str) -> str:
    """Say in a sentence what the run does or how it ended."""
    at, pnl = date_time(progress.time), signed(progress.pnl, currency)
    if state == "running":
        return f"Running, {at} reached; PnL so far {pnl}."
    if state == "paused":
        return f"Paused at {at}; PnL so far {pnl}. Resume goes on from there."
    if state == "finished":
        return f"Finished at {at}; PnL {pnl}."
    if state == "stopped":
        return f"Stopped by you at {at}; everything below counts only up to there."
    return f"Failed at {at}; everything below counts only up to there."
