"""A real InteractiveShell, and what its cells answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


@dataclass
class Answer:
    """What a cell printed, displayed, returned and raised."""

    text: str
    shown: list[dict[str, Any]]
    value: Any
    error: BaseException | None

    @property
    def told(self) -> str:
        """All text, without colours."""
        shown = [data["text/plain"] for data in self.shown if "text/plain" in data]
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join([self.text, *shown]))


class Notebook:
    """A fresh shell with the extension loaded, and what its cells answer."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        self.shell: Any = InteractiveShell.instance()  # `display` asks for the instance
        self.shell.run_line_magic("load_ext", "bestbt")
        self.names: dict[str, Any] = self.shell.user_ns

    def __call__(self, code: str) -> Answer:
        with capture_output() as captured:
            result = self.shell.run_cell(code)
        shown = [output.data for output in captured.outputs if output.data is not None]
        return Answer(
            captured.stdout, shown, result.result, result.error_in_exec or result.error_before_exec
        )


def line_of(part: str, code: str) -> int:
    """Number of the line of a cell that holds a text, as beside the cell."""
    return next(n for n, line in enumerate(code.splitlines(), 1) if part in line)


def refused(answer: Answer, kind: type[BaseException], *parts: str) -> None:
    """A mistake is told in a line or two, without a traceback."""
    assert type(answer.error) is kind, answer.told
    for part in parts:
        assert part in answer.told
    assert "Traceback" not in answer.told
    assert "bestbt/" not in answer.told
