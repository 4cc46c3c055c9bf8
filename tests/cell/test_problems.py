"""How problems are shown."""

from __future__ import annotations

from html.parser import HTMLParser

from bestbt.cell.compile import render_problems_html, render_problems_text
from bestbt.cell.problems import Problem

SOURCE = "class S(Strategy):\n\tdef f(self):\n\t\tx = a < '<b>&'  \n"
SLIP = Problem(3, 6, "error", "name", "undefined name <a>", "Did you mean 'b' & c?")
AWAY = Problem(9, 0, "warning", "schedule", "beyond the cell")


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_text_points_at_the_place():
    assert render_problems_text([SLIP], SOURCE, offset=1).split("\n") == [
        "line 4: error: undefined name <a>",
        "    x = a < '<b>&'",
        "        ^",
        "    Did you mean 'b' & c?",
    ]


def test_a_problem_beyond_the_text_shows_no_line():
    assert render_problems_text([AWAY], SOURCE) == "line 9: warning: beyond the cell"


def test_html_is_escaped_closed_and_takes_its_colours_from_the_theme():
    page = render_problems_html([SLIP, AWAY], SOURCE, offset=1)
    reader = Text()
    reader.feed(page)
    reader.close()

    assert reader.open == []
    text = "".join(reader.text)
    assert "line 4: error: undefined name <a>" in text
    assert "x = a < '<b>&'\n    ^" in text
    assert "Did you mean 'b' & c?" in text
    assert "var(--jp-error-color1" in page
    assert "var(--jp-warn-color1" in page
    assert "<b>" not in page
