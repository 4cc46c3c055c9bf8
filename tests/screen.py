"""A terminal that remembers what is on its line."""

from __future__ import annotations

import io


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def left(self) -> str:
        """What is still to be read on the line."""
        line = ""
        for part in self.getvalue().split("\r"):
            line = part + line[len(part) :]
        return line.strip()
