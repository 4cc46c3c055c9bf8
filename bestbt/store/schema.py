"""The tables of the store: one class per table, the same on every database.

    options_contract ─┐
    futures_contract  ├─ one row per contract ──< *_segment   a month of its bars, compressed
    equity_contract   │
    index_contract   ─┘──< *_ticks       a day of its ticks, compressed
    index_contract    ──< index_close   official closes, for settlement
    futures_contract  ──< futures_settlement   the price of each day at which it was settled
    imports              one row per imported file, with its quality report
       └──< quarantine      rows of it that were not stored, with the reason
    runs ──< run_orders, run_fills, run_trades, run_ledger, run_log
    store_info           which version of these tables this is

Times are UTC nanoseconds. Whole numbers stand before the blobs in a segment's row, so that
coverage and fingerprints are read without touching a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from bestbt.engine.ports import AssetType
from bestbt.errors import UsageError

__all__ = [
    "BLOBS",
    "KINDS",
    "TICK_BLOBS",
    "VERSION",
    "Base",
    "EquityContract",
    "EquitySegment",
    "EquityTicks",
    "FuturesContract",
    "FuturesSegment",
    "FuturesSettlement",
    "FuturesTicks",
    "Import",
    "IndexClose",
    "IndexContract",
    "IndexSegment",
    "IndexTicks",
    "Kind",
    "OptionsContract",
    "OptionsSegment",
    "OptionsTicks",
    "Quarantine",
    "Run",
    "RunFill",
    "RunLedger",
    "RunLog",
    "RunOrder",
    "RunTrade",
    "StoreInfo",
    "Text",
]

VERSION = 2  # a change of the tables is a revision too: see migrations/versions
BLOBS = ("spans", "points", "live", "volume", "oi", "bid", "ask")
TICK_BLOBS = ("times", "price", "volume", "oi", "bid", "ask")


class _NotStorable(UsageError, DontWrapMixin):
    """A text that no database takes, or not all."""


class Text(TypeDecorator[str]):
    """A text of bounded length, refused alike by every database.

    SQLite would take any length, and cut a NUL's text short when it is looked at; PostgreSQL takes
    neither, with errors of its own.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        """Return the text, or refuse it."""
        if value is None:
            return None
        if self.length is not None and len(value) > self.length:
            raise _NotStorable(
                f"{value[:40]!r}… has {len(value):,} characters; the store keeps at most "
                f"{self.length} "
                "there. Shorten it."
            )
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise _NotStorable(
                f"{value[:40]!r} holds a character that no database keeps (a NUL, or half a "
                "character); leave it out."
            )
        return value


class Base(DeclarativeBase):
    """Root of every table."""

    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it from the class)
        str: Text,
        bytes: LargeBinary,
        float: Double,
        dict[str, Any]: JSON,
    }


class StoreInfo(Base):
    """Facts about the store itself, by name."""

    __tablename__ = "store_info"
    name: Mapped[str] = mapped_column(Text(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text(200))


# --- contracts ---------------------------------------------------------------------------------


class _Contract(Base):
    __abstract__ = True
    contract_id: Mapped[int] = mapped_column(primary_key=True)
    exchange: Mapped[str] = mapped_column(Text(20))
    token: Mapped[str | None] = mapped_column(Text(40))  # the exchange's own number for it
    lot_size: Mapped[int]  # units
    tick_size: Mapped[int]  # raw price
    price_scale: Mapped[int]  # raw price of one unit of currency
    first_time: Mapped[int | None] = mapped_column(BigInteger)  # start of the first live bar
    last_time: Mapped[int | None] = mapped_column(BigInteger)  # start of the last live bar
    synthetic: Mapped[bool] = mapped_column(default=False)


class OptionsContract(_Contract):
    """An option; `index` is its underlying."""

    __tablename__ = "options_contract"
    symbol: Mapped[str] = mapped_column("index", Text(40))
    expiration_date: Mapped[date]
    strike_price: Mapped[float]
    option_type: Mapped[str] = mapped_column(Text(2))
    __table_args__ = (
        UniqueConstraint("index", "expiration_date", "strike_price", "option_type", "exchange"),
    )


class FuturesContract(_Contract):
    """A future; `index` is its underlying."""

    __tablename__ = "futures_contract"
    symbol: Mapped[str] = mapped_column("index", Text(40))
    expiration_date: Mapped[date]
    __table_args__ = (UniqueConstraint("index", "expiration_date", "exchange"),)


class IndexContract(_Contract):
    """An index: it has prices, no volume and no trades."""

    __tablename__ = "index_contract"
    symbol: Mapped[str] = mapped_column(Text(40))
    __table_args__ = (UniqueConstraint("symbol", "exchange"),)


class EquityContract(_Contract):
    """A share."""

    __tablename__ = "equity_contract"
    symbol: Mapped[str] = mapped_column(Text(40))
    __table_args__ = (UniqueConstraint("symbol", "exchange"),)


# --- what segments and ticks have in common -----------------------------------------------------


class _OfContract:
    """The contract that a row belongs to, of the kind that its table is named after."""

    __tablename__: str

    @declared_attr
    def contract_id(cls) -> Mapped[int]:
        """Return the contract it belongs to."""
        kind = cls.__tablename__.partition("_")[0]
        return mapped_column(ForeignKey(f"{kind}_contract.contract_id"), primary_key=True)


class _Quotes:
    """What an index lacks: volume, open interest and quotes, where the source had them."""

    volume_crc: Mapped[int | None] = mapped_column(BigInteger)
    oi_crc: Mapped[int | None] = mapped_column(BigInteger)
    bid_crc: Mapped[int | None] = mapped_column(BigInteger)
    ask_crc: Mapped[int | None] = mapped_column(BigInteger)
    volume: Mapped[bytes | None]
    oi: Mapped[bytes | None]
    bid: Mapped[bytes | None]
    ask: Mapped[bytes | None]


# --- price segments ----------------------------------------------------------------------------


class _Segment(Base):
    """One calendar month of one contract's bars.

    A crc32 stands beside every blob, because the codec decodes a flipped bit into wrong prices
    without a word. `digest` is of the decoded content, so that it is the same in every store.
    """

    __abstract__ = True
    t0: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # 1st of the month, 00:00 UTC
    step: Mapped[int] = mapped_column(BigInteger)  # length of a bar, ns
    bars: Mapped[int]
    live_bars: Mapped[int]
    codec: Mapped[str] = mapped_column(Text(40))
    digest: Mapped[str] = mapped_column(Text(32))
    spans_crc: Mapped[int] = mapped_column(BigInteger)
    points_crc: Mapped[int] = mapped_column(BigInteger)
    live_crc: Mapped[int] = mapped_column(BigInteger)
    spans: Mapped[bytes]  # (start of a run of bars, how many) pairs: there is no time column
    points: Mapped[bytes]  # int32, four a bar in path order
    live: Mapped[bytes]  # one bit a bar


class OptionsSegment(_OfContract, _Quotes, _Segment):
    """A month of an option."""

    __tablename__ = "options_segment"


class FuturesSegment(_OfContract, _Quotes, _Segment):
    """A month of a future."""

    __tablename__ = "futures_segment"


class EquitySegment(_OfContract, _Quotes, _Segment):
    """A month of a share."""

    __tablename__ = "equity_segment"


class IndexSegment(_OfContract, _Segment):
    """A month of an index."""

    __tablename__ = "index_segment"


# --- ticks -------------------------------------------------------------------------------------


class _Ticks(Base):
    """One day of one contract's ticks, in order; several may have the same time."""

    __abstract__ = True
    t0: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # the local day, 00:00 UTC
    ticks: Mapped[int]
    first: Mapped[int] = mapped_column(BigInteger)  # time of the first tick
    last: Mapped[int] = mapped_column(BigInteger)  # time of the last tick
    codec: Mapped[str] = mapped_column(Text(40))
    digest: Mapped[str] = mapped_column(Text(32))
    times_crc: Mapped[int] = mapped_column(BigInteger)
    price_crc: Mapped[int] = mapped_column(BigInteger)
    times: Mapped[bytes]  # int64, ns since the tick before; the first since t0
    price: Mapped[bytes]  # int32; 0 where nothing was traded yet that day


class _CountedTicks(_Quotes, _Ticks):
    __abstract__ = True
    totals: Mapped[bool]  # whether volume is the day's so far, or each tick's own


class OptionsTicks(_OfContract, _CountedTicks):
    """A day of an option."""

    __tablename__ = "options_ticks"


class FuturesTicks(_OfContract, _CountedTicks):
    """A day of a future."""

    __tablename__ = "futures_ticks"


class EquityTicks(_OfContract, _CountedTicks):
    """A day of a share."""

    __tablename__ = "equity_ticks"


class IndexTicks(_OfContract, _Ticks):
    """A day of an index."""

    __tablename__ = "index_ticks"


class IndexClose(Base):
    """The official closing value of an index on a day, as a raw price."""

    __tablename__ = "index_close"
    index_id: Mapped[int] = mapped_column(
        ForeignKey("index_contract.contract_id"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    close: Mapped[int]
    source: Mapped[str] = mapped_column(Text(400))


class FuturesSettlement(Base):
    """The price on which a future was settled at the end of a day, as a raw price.

    On its last day that is the final one, the official close of its underlying.
    """

    __tablename__ = "futures_settlement"
    future_id: Mapped[int] = mapped_column(
        ForeignKey("futures_contract.contract_id"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    price: Mapped[int]
    source: Mapped[str] = mapped_column(Text(400))


# --- imports and runs --------------------------------------------------------------------------


class Import(Base):
    """One imported file."""

    __tablename__ = "imports"
    import_id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(Text(400))
    sha256: Mapped[str | None] = mapped_column(Text(64))
    format: Mapped[str] = mapped_column(Text(40))
    rows: Mapped[int] = mapped_column(BigInteger)
    report: Mapped[dict[str, Any]]
    imported_at: Mapped[int] = mapped_column(BigInteger)
    synthetic: Mapped[bool]
    __table_args__ = (Index("ix_imports_sha256", "sha256"),)


class Quarantine(Base):
    """A row of an imported file that was not stored, or a page of rows."""

    __tablename__ = "quarantine"
    quarantine_id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.import_id"))
    reason: Mapped[str] = mapped_column(Text(40))
    line: Mapped[int | None] = mapped_column(BigInteger)  # its number in the file
    rows: Mapped[int]  # how many it stands for
    text: Mapped[str]
    contract: Mapped[str | None] = mapped_column(Text(100))
    start: Mapped[int | None] = mapped_column(BigInteger)  # of its bar
    parsed: Mapped[dict[str, Any] | None]  # the contract's terms, the bar's length and numbers
    readmitted_at: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (
        Index("ix_quarantine_import_reason", "import_id", "reason"),
        Index("ix_quarantine_readmitted", "readmitted_at"),
    )


class Run(Base):
    """A saved run: what is needed to say what it was and to make it again.

    Its record is there from its start; `hash`, `stats` and the equity of every bar come at its
    end. A run that is `running` and whose `writer` is gone was killed.
    """

    __tablename__ = "runs"
    run_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text(200))
    created: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    options: Mapped[dict[str, Any]]
    fingerprint: Mapped[str] = mapped_column(Text(64))
    hash: Mapped[str] = mapped_column(Text(64))
    stats: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(Text(10), server_default="finished")
    writer: Mapped[str] = mapped_column(Text(300), server_default="")  # the process, while it runs
    seen: Mapped[int] = mapped_column(BigInteger, server_default="0")  # when it last wrote
    played_to: Mapped[int | None] = mapped_column(BigInteger)  # end of the newest bar in it
    failure: Mapped[str | None]
    curve: Mapped[bytes | None]  # equity: of session ends while it runs, then of every bar


class _RunRow(Base):
    """A row of one of a run's tables, as the run shows it; `number` is its place there."""

    __abstract__ = True

    @declared_attr
    def run_id(cls) -> Mapped[int]:
        """Return the run it belongs to."""
        return mapped_column(ForeignKey("runs.run_id"), primary_key=True, sort_order=-2)


class _NumberedRow(_RunRow):
    __abstract__ = True
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, sort_order=-1)


class RunOrder(_RunRow):
    """An order of a saved run."""

    __tablename__ = "run_orders"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(Text(80))
    side: Mapped[str] = mapped_column(Text(4))
    type: Mapped[str] = mapped_column(Text(10))
    qty: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[float | None]
    trigger: Mapped[float | None]
    tif: Mapped[str] = mapped_column(Text(10))
    status: Mapped[str] = mapped_column(Text(20))
    reason: Mapped[str]
    group: Mapped[str | None]
    tag: Mapped[str | None]


class RunFill(_NumberedRow):
    """A fill of a saved run, in booking order."""

    __tablename__ = "run_fills"
    time: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(Text(80))
    side: Mapped[str] = mapped_column(Text(4))
    qty: Mapped[int] = mapped_column(BigInteger)
    price: Mapped[float]
    slippage: Mapped[float]
    charges: Mapped[float]
    reason: Mapped[str]
    kind: Mapped[str] = mapped_column(Text(20))
    order_id: Mapped[int | None]
    group: Mapped[str | None]
    tag: Mapped[str | None]


class RunTrade(_NumberedRow):
    """A closed trade of a saved run, in order of exit."""

    __tablename__ = "run_trades"
    symbol: Mapped[str] = mapped_column(Text(80))
    side: Mapped[str] = mapped_column(Text(4))
    qty: Mapped[int] = mapped_column(BigInteger)
    entry_time: Mapped[int] = mapped_column(BigInteger)
    entry_price: Mapped[float]
    exit_time: Mapped[int] = mapped_column(BigInteger)
    exit_price: Mapped[float]
    pnl: Mapped[float]
    charges: Mapped[float]
    exit_reason: Mapped[str]
    group: Mapped[str | None]
    tag: Mapped[str | None]


class RunLedger(_NumberedRow):
    """A posting of a saved run."""

    __tablename__ = "run_ledger"
    time: Mapped[int] = mapped_column(BigInteger)
    account: Mapped[str]
    symbol: Mapped[str] = mapped_column(Text(80))
    amount: Mapped[float]
    cash: Mapped[float]
    fill: Mapped[int | None]


class RunLog(_NumberedRow):
    """A line of a saved run's log."""

    __tablename__ = "run_log"
    time: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text(40))
    text: Mapped[str]
    values: Mapped[dict[str, Any]]


# --- one kind of contract ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of contract: its tables, and the market's name for its session hours."""

    asset: AssetType
    contracts: Table
    segments: Table
    ticks: Table
    hours: str

    @property
    def symbol(self) -> Column[str]:
        """The column of its contracts that has their symbol, or that of their underlying."""
        return self.contracts.c["index" if "index" in self.contracts.c else "symbol"]

    @property
    def blobs(self) -> tuple[str, ...]:
        """The blobs its segments have."""
        return BLOBS[:3] if self.asset == "index" else BLOBS


def _kind(asset: AssetType, hours: str, *classes: type[Base]) -> Kind:
    contracts, segments, ticks = (Base.metadata.tables[c.__tablename__] for c in classes)
    return Kind(asset, contracts, segments, ticks, hours)


KINDS: dict[AssetType, Kind] = {
    "index": _kind("index", "index", IndexContract, IndexSegment, IndexTicks),
    "equity": _kind("equity", "index", EquityContract, EquitySegment, EquityTicks),
    "future": _kind("future", "derivatives", FuturesContract, FuturesSegment, FuturesTicks),
    "option": _kind("option", "derivatives", OptionsContract, OptionsSegment, OptionsTicks),
}
