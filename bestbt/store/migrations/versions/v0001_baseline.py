"""The tables of version 1. They are written out: `schema.py` goes on, this does not."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of version 1 in an empty database."""
    op.create_table(
        "store_info",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    _contracts(
        "options_contract",
        sa.Column("index", sa.String(40), nullable=False),
        sa.Column("expiration_date", sa.Date, nullable=False),
        sa.Column("strike_price", sa.Double, nullable=False),
        sa.Column("option_type", sa.String(2), nullable=False),
        sa.UniqueConstraint("index", "expiration_date", "strike_price", "option_type", "exchange"),
    )
    _contracts(
        "futures_contract",
        sa.Column("index", sa.String(40), nullable=False),
        sa.Column("expiration_date", sa.Date, nullable=False),
        sa.UniqueConstraint("index", "expiration_date", "exchange"),
    )
    for name in ("index_contract", "equity_contract"):
        _contracts(
            name,
            sa.Column("symbol", sa.String(40), nullable=False),
            sa.UniqueConstraint("symbol", "exchange"),
        )
    for name in ("options", "futures", "equity"):
        _segments(name, *(c for blob in ("volume", "oi", "bid", "ask") for c in _blob(blob, True)))
    _segments("index")
    op.create_table(
        "index_close",
        sa.Column(
            "index_id", sa.Integer, sa.ForeignKey("index_contract.contract_id"), primary_key=True
        ),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("close", sa.Integer, nullable=False),
        sa.Column("source", sa.String(400), nullable=False),
    )
    op.create_table(
        "imports",
        sa.Column("import_id", sa.Integer, primary_key=True),
        sa.Column("file_name", sa.String(400), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("format", sa.String(40), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.Column("imported_at", sa.BigInteger, nullable=False),
        sa.Column("synthetic", sa.Boolean, nullable=False),
    )
    op.create_index("ix_imports_sha256", "imports", ["sha256"])
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("stats", sa.JSON, nullable=False),
    )
    op.create_table(
        "run_orders",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("symbol", sa.String(80), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("type", sa.String(10), nullable=False),
        sa.Column("qty", sa.BigInteger, nullable=False),
        sa.Column("price", sa.Double),
        sa.Column("trigger", sa.Double),
        sa.Column("tif", sa.String(10), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("group", sa.String(200)),
        sa.Column("tag", sa.String(200)),
    )
    op.create_table(
        "run_fills",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("symbol", sa.String(80), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("qty", sa.BigInteger, nullable=False),
        sa.Column("price", sa.Double, nullable=False),
        sa.Column("slippage", sa.Double, nullable=False),
        sa.Column("charges", sa.Double, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("order_id", sa.Integer),
        sa.Column("group", sa.String(200)),
        sa.Column("tag", sa.String(200)),
    )


def _contracts(name: str, *own: Any) -> None:
    op.create_table(
        name,
        sa.Column("contract_id", sa.Integer, primary_key=True),
        sa.Column("exchange", sa.String(20), nullable=False),
        sa.Column("token", sa.String(40)),
        sa.Column("lot_size", sa.Integer, nullable=False),
        sa.Column("tick_size", sa.Integer, nullable=False),
        sa.Column("price_scale", sa.Integer, nullable=False),
        sa.Column("first_time", sa.BigInteger),
        sa.Column("last_time", sa.BigInteger),
        sa.Column("synthetic", sa.Boolean, nullable=False),
        *own,
    )


def _segments(kind: str, *quoted: Any) -> None:
    op.create_table(
        f"{kind}_segment",
        sa.Column(
            "contract_id",
            sa.Integer,
            sa.ForeignKey(f"{kind}_contract.contract_id"),
            primary_key=True,
        ),
        sa.Column("t0", sa.BigInteger, primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("bars", sa.Integer, nullable=False),
        sa.Column("live_bars", sa.Integer, nullable=False),
        sa.Column("codec", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        *(c for blob in ("spans", "points", "live") for c in _blob(blob, False)),
        *quoted,
    )


def _blob(name: str, optional: bool) -> tuple[Any, Any]:
    return (
        sa.Column(f"{name}_crc", sa.BigInteger, nullable=optional),
        sa.Column(name, sa.LargeBinary, nullable=optional),
    )
