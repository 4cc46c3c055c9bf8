"""The front end of the kernel tests: what it keeps of what a kernel says."""

from __future__ import annotations

from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from tests.face.kernel import FrontEnd


def opened(button: str, label: str, kind: str) -> list[dict[str, Any]]:
    """Return what a kernel says when it makes a button."""
    made = {"_model_name": "ButtonModel", "_dom_classes": [], "description": label}
    return [
        {"msg_type": "comm_open", "content": {"comm_id": button, "data": {"state": made}}},
        changed(button, _dom_classes=[kind]),
    ]


def changed(widget: str, **state: Any) -> dict[str, Any]:
    """Return what a kernel says when a widget's state changes."""
    data = {"method": "update", "state": state}
    return {"msg_type": "comm_msg", "content": {"comm_id": widget, "data": data}}


def test_a_button_is_that_of_the_view_shown_last_whatever_it_says() -> None:
    front = FrontEnd(BlockingKernelClient())
    for message in (
        *opened("old pause", "Pause", "bt-pause"),
        *opened("old stop", "Stop", "bt-stop"),
        changed("old pause", disabled=True),
        *opened("new pause", "Pause", "bt-pause"),
        *opened("new stop", "Stop", "bt-stop"),
        changed("new pause", description="Resume"),  # drawn before the run went on
    ):
        front._read(message)
    assert front.button("bt-pause") == "new pause"
    assert front.button("bt-stop") == "new stop"
