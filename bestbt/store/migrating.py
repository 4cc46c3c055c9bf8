"""Bring the tables of an older store up to this version: `bestbt store migrate`.

A version is a revision under `migrations/versions`. All that a store lacks run in one transaction,
so that a store is never between two versions.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine

from bestbt.errors import UsageError
from bestbt.store.dialects import shown, tune, writing
from bestbt.store.schema import VERSION, Base
from bestbt.store.versions import is_store, note, version_of

__all__ = ["QUARANTINED", "migrate", "upgrade"]

QUARANTINED = 2  # the first version that keeps rows which were not stored
_REVISIONS = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> tuple[int, int]:
    """Bring a store's tables to this version; return the version found and the one it has now.

    Raises
    ------
    UsageError
        If there is no store, or a newer bestbt made it.
    """
    where = shown(engine.url)
    with writing(engine).begin() as connection:
        if not is_store(connection):
            raise UsageError(f"There is no store at {where}; nothing was changed.")
        found = version_of(connection)
        if found is None or found > VERSION:
            raise UsageError(
                f"{where} has tables of version {found}; this bestbt knows versions up to "
                f"{VERSION}. Use the bestbt that made it."
            )
        upgrade(connection, found, VERSION)
        return found, VERSION


def upgrade(connection: Connection, found: int, wanted: int) -> None:
    """Run the revisions after version *found* (0: an empty database) up to *wanted*."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    if found >= wanted:
        return
    script = ScriptDirectory(str(_REVISIONS))
    lower = f"{found:04}" if found else "base"
    revisions = list(script.iterate_revisions(f"{wanted:04}", lower))
    with Operations.context(MigrationContext.configure(connection)):
        for revision in reversed(revisions):
            revision.module.upgrade()
    if wanted == VERSION:
        tune(connection, Base.metadata)
    note(connection, "version", str(wanted))
