"""What a file is, is seen from its content: every vendor's shape, plain and gzipped."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bestbt.errors import ImportRefused
from bestbt.store.importers import FORMATS, recognise
from bestbt.store.importers.source import Source
from bestbt.store.store import Store
from tests.vendors import VENDORS


@pytest.mark.parametrize("shape", VENDORS)
def test_every_shape_is_recognised_and_by_one_format_alone(tmp_path: Path, shape: str) -> None:
    wanted, write = VENDORS[shape]
    file = write(tmp_path)
    assert recognise(Source(file)) == wanted
    general = {"long-bars", "daily-candles"}  # these take what no other does
    shown = [name for name, known in FORMATS.items() if known.shows(Source(file))]
    assert set(shown) - general == {wanted} - general
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    assert recognise(Source(packed)) == wanted


@pytest.mark.parametrize("shape", VENDORS)
def test_an_unknown_option_is_named(store: Store, tmp_path: Path, shape: str) -> None:
    file = VENDORS[shape].write(tmp_path)
    with pytest.raises(ImportRefused, match=r"No option 'chek_level'.*Did you mean 'check_level'"):
        store.import_file(file, progress=False, chek_level=False)


@pytest.mark.parametrize("shape", VENDORS)
def test_a_file_that_is_cut_off_is_refused_or_imported_never_a_fault(
    store: Store, tmp_path: Path, shape: str
) -> None:
    content = VENDORS[shape].write(tmp_path).read_bytes()
    for size in (1, 20, 100, len(content) // 2, len(content) - 1):
        file = tmp_path / f"cut_{size}"
        file.write_bytes(content[:size])
        said = ""
        try:
            assert store.import_file(file, progress=False).balanced
        except ImportRefused as error:
            said = str(error)
        assert not said or file.name in said
