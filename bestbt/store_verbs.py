"""`bestbt store`: which one is used; `copy`, `migrate`, `mirror`, `verify` it; `forget` months."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from bestbt.errors import StoreCorrupt
from bestbt.store.dialects import shown
from bestbt.store.migrating import QUARANTINED, migrate
from bestbt.store.store import Store
from bestbt.store.versions import existing

__all__ = ["add_store_verbs"]


def add_store_verbs(verbs: Any) -> None:
    """Add `store` and its own verbs to those of a parser."""
    store = verbs.add_parser(
        "store", help="say which store is used; copy, migrate, mirror, verify one; forget months"
    )
    store.set_defaults(verb=_say)
    inner = store.add_subparsers(metavar="VERB")

    copy = inner.add_parser("copy", help="copy a whole store, from a file to a server or back")
    copy.add_argument("source", metavar="FROM")
    copy.add_argument("target", metavar="TO", help="an empty store, or a copy that was broken off")
    copy.set_defaults(verb=_copy)

    migrates = inner.add_parser("migrate", help="bring an older store's tables up to date")
    migrates.add_argument("address", nargs="?", metavar="STORE")
    migrates.set_defaults(verb=_migrate)

    mirror = inner.add_parser("mirror", help="keep prices as rows too, for SQL on a server")
    mirror.add_argument("address", nargs="?", metavar="STORE")
    mirror.add_argument("--drop", action="store_true", help="take the rows away")
    mirror.set_defaults(verb=_mirror)

    forget = inner.add_parser("forget", help="take whole months of bars and ticks out again")
    forget.add_argument("symbol", help="an index or equity; or one contract, quoted")
    forget.add_argument("first", metavar="MONTH", help="such as 2024-02")
    forget.add_argument("last", nargs="?", metavar="MONTH", help="the last one; default: the same")
    forget.add_argument(
        "--derivatives", action="store_true", help="of a symbol its futures and options too"
    )
    forget.set_defaults(verb=_forget)

    verify = inner.add_parser("verify", help="hold every stored price against its checksums")
    verify.add_argument("address", nargs="?", metavar="STORE")
    verify.set_defaults(verb=_verify)


def _say(given: argparse.Namespace) -> None:
    with closing(Store.open(given.store)) as store:
        print(f"{store!r}\n{shown(store.engine.url)}")


def _copy(given: argparse.Namespace) -> None:
    existing(given.source).dispose()  # a mistyped source would be made, and copied as empty
    with closing(Store.open(given.source)) as source:
        rows = source.copy_to(given.target)
    with closing(Store.open(given.target)) as target:
        print(f"{rows:,} rows were copied and compared: {target!r}")


def _migrate(given: argparse.Namespace) -> None:
    engine = existing(given.address or given.store)
    try:
        found, now = migrate(engine)
    finally:
        engine.dispose()
    where = shown(engine.url)
    if found == now:
        print(f"{where} is of version {now} already; nothing was changed.")
    else:
        print(f"{where} is brought from version {found} to {now}.")
    if found < QUARANTINED <= now:
        print(
            "Rows that were set aside until now are counted in `store.imports()` and were not "
            "kept: a file that is imported once more, with --set again=true, brings them into "
            "quarantine."
        )


def _mirror(given: argparse.Namespace) -> None:
    address = given.address or given.store
    existing(address).dispose()
    with closing(Store.open(address)) as store:
        if given.drop:
            print("The rows are gone." if store.drop_mirror() else "There were no rows.")
            return
        found = store.mirror()
    for line in found.damage:
        print(line)
    if found.damage:
        raise StoreCorrupt(str(found))
    print(found)


def _forget(given: argparse.Namespace) -> None:
    with closing(Store.open(given.store)) as store:
        gone = store.forget(given.symbol, given.first, given.last, derivatives=given.derivatives)
    print(f"{gone:,} bars and ticks of {given.symbol} were taken out; import its files again.")


def _verify(given: argparse.Namespace) -> None:
    address = given.address or given.store
    existing(address).dispose()
    with closing(Store.open(address)) as store:
        found = store.verify()
    for line in found.damage:
        print(line)
    if found.damage:
        raise StoreCorrupt(str(found))
    print(found)
