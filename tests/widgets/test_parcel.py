"""An update as one message: what is packed, what is not, and what a page that was away is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest

from bestbt.widgets.chain_table import ChainTable
from bestbt.widgets.pacer import Pacer
from bestbt.widgets.parcel import Parcel
from bestbt.widgets.plots import bqplot, send


class Wire:
    """Takes the place of a widget's line to the browser and keeps what is sent."""

    def __init__(self, name: str) -> None:
        self.comm_id = name
        self.sent: list[tuple[dict[str, Any], list[Any]]] = []

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        self.sent.append((data, list(buffers or ())))

    def on_msg(self, work: Any) -> None: ...

    def close(self) -> None: ...


class Scene:
    def __init__(self) -> None:
        self.pacer, self.words, self.line = Pacer(), widgets.HTML(), bqplot.Lines(x=[0.0], y=[0.0])
        self.wires = [Wire(name) for name in ("pacer", "words", "line")]
        self.all = (self.pacer, self.words, self.line)
        for widget, wire in zip(self.all, self.wires, strict=True):
            widget.comm = wire
        self.parcel = Parcel(self.pacer)
        self.parcel.take(self.all)

    def answer(self) -> None:
        self.pacer.seq, self.pacer.ack = 2, 2
        for wire in self.wires:
            wire.sent.clear()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    for widget in made.all:
        widget.close()


def test_what_changes_in_many_is_one_message(scene: Scene) -> None:
    scene.answer()
    scene.parcel.open()
    scene.words.value = "<b>21,000</b>"
    send(scene.line, x=np.array([1.0, 2.0]), y=np.array([3.0, 4.0]))
    scene.pacer.seq = 3
    scene.parcel.send()
    pacer, words, line = (wire.sent for wire in scene.wires)
    assert not words
    assert not line
    ((message, buffers),) = pacer
    assert message["method"] == "custom"
    updates = message["content"]["updates"]
    assert [name for name, *_ in updates] == ["words", "line", "pacer"]
    assert updates[0][1]["state"] == {"value": "<b>21,000</b>"}
    assert updates[2][1]["state"] == {"seq": 3}  # the last: then all the rest is there
    assert [many for *_, many in updates] == [0, len(buffers), 0]
    assert sorted(np.frombuffer(b, np.float64).tolist() for b in buffers) == [[1, 2], [3, 4]]


def test_nothing_is_packed_before_the_page_listens(scene: Scene) -> None:
    scene.parcel.open()
    scene.words.value = "first"
    scene.pacer.seq = 1
    scene.parcel.send()
    assert [data["state"] for data, _ in scene.wires[1].sent] == [{"value": "first"}]
    assert [data["method"] for data, _ in scene.wires[0].sent] == ["update"]


def test_nothing_is_packed_for_a_page_that_does_not_answer(scene: Scene) -> None:
    scene.answer()
    scene.pacer.seq = 4
    scene.parcel.open()
    scene.words.value = "late"
    assert len(scene.wires[1].sent) == 1


def test_what_is_clicked_meanwhile_does_not_wait(scene: Scene) -> None:
    scene.answer()
    scene.parcel.open()
    other = threading.Thread(target=lambda: setattr(scene.words, "value", "clicked"))
    other.start()
    other.join(10)
    assert len(scene.wires[1].sent) == 1


def test_what_is_clicked_meanwhile_is_not_taken_back(scene: Scene) -> None:
    scene.answer()
    scene.parcel.open()
    scene.words.value = "drawn"
    other = threading.Thread(target=lambda: setattr(scene.words, "value", "clicked"))
    other.start()
    other.join(10)
    scene.parcel.send()
    ((message, _),) = scene.wires[0].sent
    ((_, data, _),) = message["content"]["updates"]
    assert data["state"] == {"value": "clicked"}


def test_when_it_is_sent_nothing_is_kept_any_more(scene: Scene) -> None:
    scene.answer()
    scene.parcel.open()
    scene.parcel.send()
    assert not scene.wires[0].sent
    scene.words.value = "after"
    assert len(scene.wires[1].sent) == 1


def test_what_is_no_update_goes_at_once(scene: Scene) -> None:
    scene.answer()
    scene.parcel.open()
    scene.words.send({"look": 1})
    assert len(scene.wires[1].sent) == 1


def test_a_page_that_was_away_is_told_what_came_by_parcel(scene: Scene) -> None:
    scene.answer()
    for text in ("old", "new"):
        scene.parcel.open()
        scene.words.value = text
        scene.parcel.send()
    scene.words.placeholder = "not by parcel"
    scene.wires[1].sent.clear()
    scene.parcel.again()
    assert [data["state"] for data, _ in scene.wires[1].sent] == [{"value": "new"}]
    assert not scene.wires[2].sent
    scene.words.close()
    scene.parcel.again()  # of what is closed there is nothing to tell


def test_rows_of_a_table_keep_their_bytes(scene: Scene) -> None:
    table, wire = ChainTable(), Wire("table")
    table.comm = wire
    scene.parcel.take([table])
    scene.answer()
    scene.parcel.open()
    scene.words.value = "before"
    table.data = b"12345678"
    scene.parcel.send()
    ((message, buffers),) = scene.wires[0].sent
    (_, _, none), (name, data, one) = message["content"]["updates"]
    assert (none, name, one) == (0, "table", 1)
    assert data["buffer_paths"] == [["data"]]
    assert bytes(buffers[0]) == b"12345678"
    scene.parcel.again()
    assert [list(map(bytes, buffers)) for _, buffers in wire.sent] == [[b"12345678"]]
    table.close()
