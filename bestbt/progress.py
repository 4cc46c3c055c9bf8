"""The progress bar of long work, in a terminal and under a cell alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from tqdm.auto import tqdm

__all__ = ["expiry_bar"]


@contextmanager
def expiry_bar(text: str) -> Iterator[Callable[[date], object]]:
    """Show how many expiries are done and the newest one's date."""
    with tqdm(desc=text, unit=" expiries", leave=False) as bar:

        def tell(newest: date) -> None:
            bar.set_postfix_str(str(newest), refresh=False)
            bar.update()

        yield tell
