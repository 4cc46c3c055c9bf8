"""What a store holds, byte for byte, without the numbers and times that an import gives."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import Table, select

from bestbt.store.reading import spec_of
from bestbt.store.schema import KINDS, Base
from bestbt.store.store import Store

__all__ = ["content"]

_NUMBERS = {"contract_id", "index_id", "future_id", "import_id", "quarantine_id", "imported_at"}
Content = dict[str, list[str]]


def content(store: Store) -> Content:
    """Return each table's rows, in an order of their own: whose they are and their digest."""
    with store.engine.connect() as connection:

        def rows(table: Table) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

        owners: dict[tuple[str, int], str] = {}
        for kind in KINDS.values():
            for row in rows(kind.contracts):
                name = f"{kind.asset} {spec_of(kind.asset, row)}"
                for table in (kind.contracts, kind.segments, kind.ticks):
                    owners[table.name, row["contract_id"]] = name
                owners[f"{kind.asset}_close", row["contract_id"]] = name
                owners[f"{kind.asset}s_settlement", row["contract_id"]] = name
        files = {row["import_id"]: row["sha256"] for row in rows(Base.metadata.tables["imports"])}
        found: Content = {}
        for table in Base.metadata.sorted_tables:
            found[table.name] = lines = []
            for row in rows(table):
                id_ = row.get("contract_id") or row.get("index_id") or row.get("future_id")
                whose = owners[table.name, id_] if id_ else files.get(row.get("import_id"), "")
                plain = {k: _plain(v) for k, v in sorted(row.items()) if k not in _NUMBERS}
                lines.append(f"{whose} {hashlib.sha256(repr(plain).encode()).hexdigest()}")
            lines.sort()
    return found


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
