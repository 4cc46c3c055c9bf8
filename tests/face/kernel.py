"""A real Jupyter kernel, spoken to as a notebook's front end speaks."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

LONG = 60.0  # seconds after which a kernel that does not answer has failed


@dataclass
class Reply:
    """What one cell did."""

    status: str
    text: str = ""
    shown: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class FrontEnd:
    """Sends cells and clicks; keeps the state of every widget as a browser would."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.widgets: dict[str, dict[str, Any]] = {}
        self._text = ""
        self._shown: list[dict[str, Any]] = []
        self._idle: set[str] = set()

    def run(self, code: str, *asked: str, cell: str | None = None) -> Reply:
        """Run a cell to its end; *asked* are expressions, of literals, to be read after it.

        *cell* is the id of the cell, which some front ends send and others do not.
        """
        message = self.send(code, *asked, cell=cell)
        return self.answer(message)

    def send(self, code: str, *asked: str, cell: str | None = None) -> str:
        """Send a cell and return at once."""
        self._text, self._shown, self._sent = "", [], time.monotonic()
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {name: name for name in asked},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        given = {} if cell is None else {"cellId": cell}
        message = self.client.session.msg("execute_request", content, metadata=given)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def answer(self, message: str) -> Reply:
        """Wait for the end of a cell."""
        reply = self.client.get_shell_msg(timeout=LONG)
        while reply["parent_header"].get("msg_id") != message:
            reply = self.client.get_shell_msg(timeout=LONG)
        seconds = time.monotonic() - self._sent
        self.until(lambda: message in self._idle)
        content = reply["content"]
        values = {
            name: ast.literal_eval(value["data"]["text/plain"])
            for name, value in content.get("user_expressions", {}).items()
        }
        return Reply(content["status"], self._text, self._shown, values, seconds)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression."""
        return self.run("", expression).values[expression]

    def until(self, seen: Callable[[], object]) -> None:
        """Read what the kernel says until something has been seen."""
        end = time.monotonic() + LONG
        while not seen():
            try:
                self._read(self.client.get_iopub_msg(timeout=max(end - time.monotonic(), 0.001)))
            except Empty:
                raise TimeoutError(f"the kernel did not say it in {LONG:.0f} s") from None

    def button(self, kind: str) -> str:
        """Return the id of a button of the view shown last, by its class (`"bt-pause"`).

        Not by its label: that changes, and the views of earlier cells have the same.
        """
        return [k for k, w in self.widgets.items() if kind in w.get("_dom_classes", ())][-1]

    def click(self, widget: str) -> float:
        """Click a button as a browser does; return when (seconds since 1970)."""
        content = {"comm_id": widget, "data": {"method": "custom", "content": {"event": "click"}}}
        message = self.client.session.msg("comm_msg", content)
        at = time.time()
        self.client.shell_channel.send(message)
        return at

    def _read(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            self._idle.add(message["parent_header"].get("msg_id", ""))
        elif kind == "stream":
            self._text += content["text"]
        elif kind == "error":
            self._text += re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))
        elif kind in ("display_data", "execute_result"):
            self._shown.append(content["data"])
        elif kind == "comm_open":
            self.widgets[content["comm_id"]] = dict(content["data"].get("state", {}))
        elif kind == "comm_close":
            self.widgets.get(content["comm_id"], {})["closed"] = True
        elif kind == "comm_msg" and content["data"].get("method") == "update":
            self.widgets.get(content["comm_id"], {}).update(content["data"]["state"])
