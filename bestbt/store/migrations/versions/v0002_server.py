"""Version 2: stores on PostgreSQL; runs written as they play; settlements; quarantine; ticks.

To add a table while version 2 has not been released: give it a class in `schema.py`, and make it
here by `op.create_table`, every column written out (`sa.String(40)` for `Text(40)`; an index by
`op.create_index`). A new column of a table that has rows needs a `server_default`, and
`op.add_column`; a change of one needs `op.batch_alter_table`, which SQLite understands too.
`tests/store/test_migrating.py` holds the outcome against `schema.py`, on both databases. After a
release: a new file, `revision = "0003"`, and `VERSION = 3`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change what version 1 has into version 2."""
    op.create_table(
        "futures_settlement",
        sa.Column(
            "future_id",
            sa.Integer,
            sa.ForeignKey("futures_contract.contract_id"),
            primary_key=True,
        ),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("price", sa.Integer, nullable=False),
        sa.Column("source", sa.String(400), nullable=False),
        if_not_exists=True,  # some stores of version 1 got it when they were opened
    )
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", sa.Integer, primary_key=True),
        sa.Column("import_id", sa.Integer, sa.ForeignKey("imports.import_id"), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("line", sa.BigInteger),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("contract", sa.String(100)),
        sa.Column("start", sa.BigInteger),
        sa.Column("parsed", sa.JSON),
        sa.Column("readmitted_at", sa.BigInteger),
        if_not_exists=True,
    )
    for index, columns in (
        ("ix_quarantine_import_reason", ["import_id", "reason"]),
        ("ix_quarantine_readmitted", ["readmitted_at"]),
    ):
        op.create_index(index, "quarantine", columns, if_not_exists=True)
    for kind in ("options", "futures", "equity"):
        quoted = [c for name in ("volume", "oi", "bid", "ask") for c in _blob(name, True)]
        _ticks(kind, sa.Column("totals", sa.Boolean, nullable=False), *quoted)
    _ticks("index")
    for column in (
        sa.Column("state", sa.String(10), nullable=False, server_default="finished"),
        sa.Column("writer", sa.String(300), nullable=False, server_default=""),
        sa.Column("seen", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("played_to", sa.BigInteger),
        sa.Column("failure", sa.String),
        sa.Column("curve", sa.LargeBinary),
    ):
        op.add_column("runs", column)
    for name in ("run_orders", "run_fills"):  # a tag may be longer than 200 characters
        with op.batch_alter_table(name) as table:
            for column_name in ("group", "tag"):
                table.alter_column(
                    column_name, type_=sa.String(), existing_type=sa.String(200), nullable=True
                )
    _of_a_run(
        "run_trades",
        sa.Column("symbol", sa.String(80), nullable=False),
        sa.Column("side", sa.String(4), nullable=False),
        sa.Column("qty", sa.BigInteger, nullable=False),
        sa.Column("entry_time", sa.BigInteger, nullable=False),
        sa.Column("entry_price", sa.Double, nullable=False),
        sa.Column("exit_time", sa.BigInteger, nullable=False),
        sa.Column("exit_price", sa.Double, nullable=False),
        sa.Column("pnl", sa.Double, nullable=False),
        sa.Column("charges", sa.Double, nullable=False),
        sa.Column("exit_reason", sa.String, nullable=False),
        sa.Column("group", sa.String),
        sa.Column("tag", sa.String),
    )
    _of_a_run(
        "run_ledger",
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("symbol", sa.String(80), nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("cash", sa.Double, nullable=False),
        sa.Column("fill", sa.Integer),
    )
    _of_a_run(
        "run_log",
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("values", sa.JSON, nullable=False),
    )


def _of_a_run(name: str, *own: Any) -> None:
    op.create_table(
        name,
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *own,
    )


def _ticks(kind: str, *own: Any) -> None:
    contract = sa.ForeignKey(f"{kind}_contract.contract_id")
    op.create_table(
        f"{kind}_ticks",
        sa.Column("contract_id", sa.Integer, contract, primary_key=True),
        sa.Column("t0", sa.BigInteger, primary_key=True),
        sa.Column("ticks", sa.Integer, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("codec", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        *_blob("times", False),
        *_blob("price", False),
        *own,
        if_not_exists=True,  # as above
    )


def _blob(name: str, optional: bool) -> tuple[Any, Any]:
    return (
        sa.Column(f"{name}_crc", sa.BigInteger, nullable=optional),
        sa.Column(name, sa.LargeBinary, nullable=optional),
    )
