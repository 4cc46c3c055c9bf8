"""Version 2: stores of PostgreSQL beside files.

To add a table while version 2 has not been released: give it a class in `schema.py`, and make it
here by `op.create_table`, every column written out as in version 1 (`sa.String(40)` for
`Text(40)`; an index by `op.create_index`). A new column of a table that has rows needs a
`server_default`, and `op.add_column`; a change of one needs `op.batch_alter_table`, which SQLite
understands too. `tests/store/test_migrating.py` holds the outcome against `schema.py`, on both
databases. After a release: a new file, `revision = "0003"`, and `VERSION = 3`.
"""

from __future__ import annotations

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change what version 1 has into version 2: nothing yet but the number."""
