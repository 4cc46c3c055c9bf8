"""Folders and archives, file by file: what fails is named, what is not safe is refused."""

from __future__ import annotations

import gzip
import stat
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bestbt.errors import ImportRefused
from bestbt.store.importers import source as sources
from bestbt.store.store import Store
from tests.vendors import gdfl
from tests.vendors.market import chosen, returned

ROW = "NIFTY04JAN2421700CE.NFO,03/01/2024,09:15:59,10,12,9,11,50,100"
NEXT = "NIFTY04JAN2421700CE.NFO,03/01/2024,09:16:59,10,12,9,11,50,100"
DAY = f"{gdfl.HEADER}\n{ROW}\n"


def packed(file: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes | str]]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file


def test_an_archive_is_its_files(store: Store, tmp_path: Path) -> None:
    files = gdfl.by_contract(tmp_path / "in", chosen())
    inside = [(f"jan/{f.name.upper()}", f.read_bytes()) for f in files]
    archive = packed(tmp_path / "jan.zip", [*inside, ("jan/READ ME.pdf", b"%PDF"), ("a/", b"")])
    report = store.import_file(archive, progress=False)
    assert (report.files, report.contracts) == (len(files), len(chosen()))
    assert report.remarks[-1] == "1 files of other kinds were left out: jan.zip/jan/READ ME.pdf"
    returned(store, chosen())
    assert sorted(store.imports()["file"]) == sorted(f"jan.zip/{name}" for name, _ in inside)
    again = store.import_file(archive, progress=False)
    assert again.already
    assert again.balanced


def test_archives_in_a_folder_are_opened_and_hidden_files_are_not(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    files = gdfl.by_contract(folder / "deep", chosen()[:3])
    packed(folder / "more.zip", [(f.name, f.read_bytes()) for f in files[1:]])
    for file in files[1:]:
        file.unlink()
    for hidden in (".secret.csv", "__MACOSX/._a.csv", ".git/a.csv"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_text("nothing")
    report = store.import_file(folder, progress=False)
    assert (report.files, report.refused) == (3, {})
    returned(store, chosen()[:3])


def test_what_fails_is_named_and_the_others_go_on(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text(DAY)
    (folder / "b.csv").write_text("")
    (folder / "c.json").write_text("{")
    (folder / "d.zip").write_bytes(packed(tmp_path / "x.zip", [("../e.csv", DAY)]).read_bytes())
    (folder / "z.csv").write_text(f"{gdfl.HEADER}\n{NEXT}\n{ROW.replace('09:15', '07:15')}\n")
    report = store.import_file(folder, progress=False)
    assert (report.files, report.rows, report.stored, report.contracts) == (2, 3, 2, 1)
    assert list(report.refused) == ["in/b.csv", "in/c.json", "in/d.zip"]
    assert "is empty" in report.refused["in/b.csv"]
    assert report.balanced
    (finding,) = [f for f in report.findings if f.rule == "before-open"]
    assert finding.samples[0].startswith("in/z.csv line 3: NIFTY04JAN24")
    text, page = str(report), report._repr_html_()
    assert "in (2 files, GDFL minutes CSV): 3 rows read, 2 stored in 1 contract" in text
    assert "  refused  in/b.csv is empty" in text
    assert "<b>refused</b>  in/b.csv is empty" in page
    assert (report.start, report.end) == ("2024-01-03 09:15", "2024-01-03 09:16")
    (folder / "y.csv").write_text(f"{gdfl.HEADER}\n{NEXT.replace('09:16', '09:17')}\n")
    second = store.import_file(folder, progress=False)
    assert (second.rows, second.stored) == (1, 1)
    assert "2 of the files had been imported before" in second.remarks


def test_if_all_fail_nothing_is_reported_as_done(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(7):
        (folder / f"{n}.csv").write_text("")
    with pytest.raises(ImportRefused, match=r"None of 7 files of in .*\n  in/0.csv(.*\n)*.*2 more"):
        store.import_file(folder, progress=False)
    for n in range(1, 7):
        (folder / f"{n}.csv").unlink()
    with pytest.raises(ImportRefused, match=r"^in/0.csv is empty"):
        store.import_file(folder, progress=False)
    assert store.is_empty


def test_progress_is_told_in_files(store: Store, tmp_path: Path) -> None:
    gdfl.by_contract(tmp_path / "in", chosen()[:2])
    told: list[tuple[int, int, str]] = []
    store.import_file(tmp_path / "in", progress=lambda *now: told.append(now))
    assert told == [
        (0, 2, "in/INDIA VIX.NSE_IDX.csv"),
        (1, 2, "in/NIFTY 50.NSE_IDX.csv"),
        (2, 2, "stored"),
    ]


def test_a_folder_without_data_says_what_would_be(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.md").write_text("none")
    with pytest.raises(ImportRefused, match=r"is a folder; .*names end in \.csv"):
        store.import_file(tmp_path / "in", progress=False)
    with pytest.raises(ImportRefused, match=r"is an archive; .*names end in \.csv"):
        store.import_file(packed(tmp_path / "a.zip", []), progress=False)


@pytest.mark.parametrize(
    "name", ["../a.csv", "/etc/a.csv", "b/../../a.csv", "..\\a.csv", "C:\\a.csv", "c:a.csv"]
)
def test_a_name_that_reaches_outside_refuses_the_archive(
    store: Store, tmp_path: Path, name: str
) -> None:
    archive = packed(tmp_path / "a.zip", [("good.csv", DAY), (name, DAY)])
    with pytest.raises(ImportRefused, match="a name that reaches outside the archive"):
        store.import_file(archive, progress=False)
    assert store.is_empty
    assert not (tmp_path.parent / "a.csv").exists()


def test_a_link_refuses_the_archive(store: Store, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ImportRefused, match="a link and no file"):
        store.import_file(packed(tmp_path / "a.zip", [(link, "/etc/passwd")]), progress=False)


def test_a_locked_archive_is_refused(store: Store, tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", [("a.csv", DAY)])
    content = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    archive.write_bytes(content)
    with pytest.raises(ImportRefused, match="locked with a password"):
        store.import_file(archive, progress=False)


def test_an_archive_in_an_archive_is_refused(store: Store, tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", [("a.csv", DAY)]).read_bytes()
    for name in ("inner.zip", "inner.csv"):
        archive = packed(tmp_path / "a.zip", [(name, inner), ("b.csv", DAY)])
        report = store.import_file(archive, again=True, progress=False)
        assert report.stored == 1
        (why,) = report.refused.values()
        assert "an archive in an archive" in why


def test_names_that_nobody_can_read_do_no_harm(store: Store, tmp_path: Path) -> None:
    names = ["'; drop table imports;--.csv", "a\x1b[2J\nb.csv", "x" * 10_000 + ".csv"]
    rows = [ROW, NEXT, NEXT.replace("09:16", "09:17")]
    inside = [(n, f"{gdfl.HEADER}\n{r}\n") for n, r in zip(names, rows, strict=True)]
    report = store.import_file(packed(tmp_path / "a.zip", inside), progress=False)
    assert report.stored == 3
    kept = store.imports()["file"].tolist()
    assert kept[0] == f"a.zip/{names[0]}"
    assert kept[1] == "a.zip/a?[2J?b.csv"
    assert len(kept[2]) < 300


@pytest.mark.parametrize("what", ["zip", "gzip", "zip that lies"])
def test_a_bomb_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(sources, "FREE", 1 << 20)
    content = DAY.encode() + (ROW.encode() + b"\n") * 60_000  # 4 MB that pack 300 times
    file = tmp_path / "bomb"
    if what == "gzip":
        file.write_bytes(gzip.compress(content, mtime=0))
    else:
        packed(file, [("a.csv", content)])
    if what == "zip that lies":
        raw = bytearray(file.read_bytes())
        at = raw.index(b"PK\x01\x02") + 24  # the size, as the archive's directory says it
        raw[at : at + 4] = (1000).to_bytes(4, "little")
        file.write_bytes(raw)
    size = file.stat().st_size
    assert len(content) > 200 * size
    with pytest.raises(ImportRefused, match=r"200 times its size, as a decompression|unpacked"):
        store.import_file(file, progress=False)
    assert store.is_empty


def test_what_unpacks_beyond_all_bounds_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST", 1 << 10)
    archive = packed(tmp_path / "a.zip", [(f"{n}.csv", DAY) for n in range(20)])
    with pytest.raises(ImportRefused, match="unpacks to more than 0 GiB"):
        store.import_file(archive, progress=False)


def test_an_archive_that_is_cut_off_or_damaged_is_refused(store: Store, tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", [("a.csv", DAY)]).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[:-30])
    with pytest.raises(ImportRefused, match=r"cut\.zip cannot be read"):
        store.import_file(cut, progress=False)
    flipped = bytearray(whole)
    flipped[50] ^= 255
    cut.write_bytes(flipped)
    with pytest.raises(ImportRefused, match=r"cut\.zip/a\.csv cannot be unpacked"):
        store.import_file(cut, progress=False)
    assert store.is_empty


def writing(file: Path, at: str) -> Callable[[int, int, str], None]:
    """Write to a file when its import has come so far."""

    def told(done: int, total: int, text: str) -> None:
        if text.startswith(at):
            with file.open("ab") as stream:
                stream.write(f"{NEXT}\n".encode())

    return told


@pytest.mark.parametrize("at", ["reading", "NIFTY 2024-01-04"])
def test_a_file_that_is_being_written_is_refused(store: Store, tmp_path: Path, at: str) -> None:
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    with pytest.raises(ImportRefused, match=r"day\.csv changed while it was read"):
        store.import_file(file, progress=writing(file, at))
    assert store.is_empty
    assert store.imports().empty
    assert store.import_file(file, progress=False).stored == 2


def test_a_file_that_looks_broken_while_it_is_written_says_so(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_bytes(b"PAR1")
    with pytest.raises(ImportRefused, match="changed while it was read"):
        store.import_file(file, progress=writing(file, "reading"))


def test_an_archive_that_is_being_written_is_refused(store: Store, tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", [("a.csv", DAY)])
    before = sources.Watch(sources.Source(archive))
    before.check()
    packed(archive, [("a.csv", DAY), ("b.csv", DAY)])
    with pytest.raises(ImportRefused, match=r"a\.zip changed while it was read"):
        before.check()
    archive.unlink()
    with pytest.raises(ImportRefused, match=r"a\.zip changed while it was read"):
        before.check()
