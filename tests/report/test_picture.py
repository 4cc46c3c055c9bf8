"""The still picture: what it draws is what it was given."""

from __future__ import annotations

import re
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from bestbt.report.picture import picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(html: str) -> ElementTree.Element:
    found = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert found
    return ElementTree.fromstring(b64decode(found[1]))


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_lines_go_where_the_values_go() -> None:
    times = pd.date_range("2024-01-01 09:15", periods=4, freq="min")
    svg = drawn(picture("NIFTY", times, np.array([np.nan, 10, 30, 20.0]), np.arange(4) * -5.0))
    price, pnl = (points(line) for line in svg.iter(f"{SVG}polyline"))
    assert len(price) == 3  # there is no first price
    (_, ten), (_, thirty), (_, twenty) = price
    assert thirty < twenty < ten  # y grows downwards
    assert abs((ten + thirty) / 2 - twenty) < 0.2
    assert [y for _, y in pnl] == sorted(y for _, y in pnl)
    said = "".join(svg.itertext())
    for text in ("NIFTY", "20.00", "−₹15.00", "01 Jan 2024", "30", "10", "−15"):
        assert text in said


def test_a_long_line_keeps_its_extremes() -> None:
    n = 100_000
    price = np.full(n, 100.0)
    price[12_345], price[77_777] = 500.0, 1.0
    html = picture("NIFTY", pd.date_range("2024-01-01", periods=n, freq="min"), price, price * 0)
    assert len(html) < 60_000
    line = points(next(drawn(html).iter(f"{SVG}polyline")))
    heights = [y for _, y in line]
    assert heights.count(min(heights)) == heights.count(max(heights)) == 1
    assert heights.index(min(heights)) < heights.index(max(heights))
    assert [x for x, _ in line] == sorted(x for x, _ in line)


def test_a_run_that_has_not_begun_is_drawn_empty() -> None:
    svg = drawn(picture("A & B", pd.DatetimeIndex([]), np.zeros(0), np.zeros(0)))
    assert list(svg.iter(f"{SVG}polyline")) == []
    assert "A & B" in "".join(svg.itertext())
