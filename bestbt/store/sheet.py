"""What an importer hands over: a file's rows as columns, with the contract of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bestbt.engine.ports import ContractSpec
from bestbt.store.quality import QualityReport
from bestbt.units import Ns

__all__ = ["Columns", "Rows", "Seen", "Sheet", "Units"]

_I64 = npt.NDArray[np.int64]
_F64 = npt.NDArray[np.float64]

Units: TypeAlias = Literal["lots", "units"]


class Seen(NamedTuple):
    """Numbers of a column that may count lots: all, whole lots among them, and small ones."""

    numbers: int = 0
    whole: int = 0
    small: int = 0


class Columns:
    """Columns of one length, in the slots of a class that is made of this one; None is none."""

    __slots__: tuple[str, ...] = ()

    def keep(self, mask: npt.NDArray[Any]) -> None:
        """Drop the rows outside a mask, or put them in an order."""
        for name in self.__slots__:
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, values[mask])


@dataclass(slots=True)
class Rows(Columns):
    """Rows of a file as columns, and the contract of each (`specs[code]`)."""

    line: _I64
    code: _I64
    start: _I64
    open: _F64
    high: _F64
    low: _F64
    close: _F64
    volume: _F64 | None
    oi: _F64 | None
    bid: _F64 | None = None  # in currency, NaN where missing
    ask: _F64 | None = None
    admitted: npt.NDArray[Any] | None = (
        None  # what a person took out of quarantine: not judged again
    )


@dataclass(slots=True)
class Sheet:
    """A file as its importer understood it; nothing is judged yet but what it could not read.

    `show` writes out a row by its number in the file; `repairs` names rows, by their numbers, that
    the importer changed. `official`: the closes of an index are its official closes too.
    """

    rows: Rows
    specs: list[ContractSpec]
    step: Ns
    report: QualityReport
    show: Callable[[int], str]
    repairs: list[tuple[str, _I64]] = field(default_factory=list)
    # What is known of the file, so that no rule need find it out; None, False: nobody said.
    stamped: bool = False  # what a time names of its bar
    zoned: bool = False  # whose clock the times show
    volume_in: Units | None = None
    oi_in: Units | None = None
    official: bool = False
    # Of a file with too few rows to show how long its bars are: what all of them lie apart, in ns.
    thin: Ns | None = None
    beside: dict[str, Seen] = field(default_factory=dict)  # of all files of its folder
    admitted: pd.DataFrame | None = None  # see `quarantine.admitted`
