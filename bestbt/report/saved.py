"""A stored run in a page of text."""

from __future__ import annotations

import pandas as pd

from bestbt.report.summary import choices, figure_rows, lay_out
from bestbt.store.runs import StoredRun

__all__ = ["saved_summary"]


def saved_summary(run: StoredRun) -> str:
    """Return what a stored run was, what came of it, and what it was made with."""
    figures, options = run.stats, run.options
    reached = "" if run.played_to is pd.NaT else f", played to {run.played_to:%Y-%m-%d %H:%M}"
    rows = [
        ("Run", [f"{run.run_id} {run.name}", f"of {run.created:%Y-%m-%d %H:%M}"]),
        ("State", [run.state + reached]),
    ]
    if run.failure:
        rows.append(("Failure", run.failure.splitlines()[-1:]))
    if options.get("synthetic"):
        rows.append(("Data", ["synthetic data: made up, no market's prices"]))
    period = "no session played"
    if figures.get("end") is not None:
        period = f"{figures['start']} … {figures['end']}"
    rows += figure_rows(figures, period, options.get("currency", "₹"))
    given = [f"{name} {value}" for name, value in run.parameters.items()]
    rows.append(("Made with", [*choices(options), *given]))
    if run.hash:
        rows.append(("Hash", [run.hash[:16]]))
    return lay_out(run.title, rows)
