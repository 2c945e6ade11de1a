"""A file that cannot be read is named in one sentence, with what it is and what to do."""

from __future__ import annotations

import gzip
import tarfile
import zipfile

import pyarrow as pa
import pytest

from tests.unit.logs.raw_world import World
from truelift.errors import SourceError
from truelift.files import raw
from truelift.files.damage import unreadable

LINES = b"u,i,t\n" + b"".join(b"%d,%d,2024-01-01\n" % (n, n * 7919 % 997) for n in range(90_000))


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def refused(world, name: str, data: bytes, *parts: str, form: str = "csv") -> None:
    (world.raw / name).write_bytes(data)
    world.options |= {"path": str(world.raw), "format": form}
    with pytest.raises(SourceError) as caught:
        world.run()
    for part in (name, *parts):
        assert part in str(caught.value)
    assert caught.value.exit_code == 2
    assert world.rows() == []


def test_a_name_of_gzip_on_plain_text(world):
    refused(world, "a.csv.gz", LINES[:99], "Its name ends in .gz")


def test_a_name_of_gzip_on_a_zip_archive(world):
    refused(world, "a.csv.gz", b"PK\x03\x04" + LINES[:99], "it is a zip archive")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_packed_file_that_breaks_off(world, share):
    packed = gzip.compress(LINES)
    refused(world, "a.csv.gz", packed[: int(share * len(packed))], "breaks off", "Copy it again")


def test_a_packed_file_that_is_damaged_within(world):
    packed = bytearray(gzip.compress(LINES))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = b"\x00" * 64
    refused(world, "a.csv.gz", bytes(packed), "breaks off or is damaged")


def test_json_lines_that_break_off(world):
    lines = b"".join(b'{"u":"%d","i":"%d","t":"2024-01-01"}\n' % (n, n * n) for n in range(90_000))
    packed = gzip.compress(lines)
    refused(world, "a.jsonl.gz", packed[: len(packed) // 2], "breaks off", form="jsonl")


def test_a_zip_archive_in_the_place_of_text(world, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", LINES)
    refused(world, "a.zip", (tmp_path / "a.zip").read_bytes(), "it is a zip archive", "Unpack")


def test_packed_text_without_the_ending_that_says_so(world):
    refused(world, "a.csv", gzip.compress(LINES), "it is a gzip file", "the ending of its kind")


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"\xfd7zXZ\x00", "an xz file"),
        (b"\x1f\x9d\x90", "compress"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"Obj\x01", "Avro"),
        (b"<!DOCTYPE html>\n", "HTML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>', "XML"),
    ],
)
def test_what_is_no_text_is_named_for_what_it_is(world, first, kind):
    refused(world, "a.csv", first + b"\x00 and more\n" * 9, kind)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_a_character_without_a_mark(world, encoding):
    refused(world, "a.csv", LINES[:99].decode().encode(encoding), f"source.encoding to {encoding}")


def test_a_packed_archive_of_files(world, tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        (tmp_path / "a.csv").write_bytes(LINES[:99])
        archive.add(tmp_path / "a.csv")
    refused(
        world, "a.tar.gz", (tmp_path / "a.tar.gz").read_bytes(), "is a tar archive", "unpack it"
    )


@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf\n", b"  \n\t\n"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_of_blank_lines_is_a_file_without_rows(world, blank, form):
    row = b"u,i,t\na,b,2024-01-01\n" if form == "csv" else b'{"u":"a","i":"b","t":"2024-01-01"}\n'
    (world.raw / "a.log").write_bytes(blank)
    (world.raw / "b.log").write_bytes(row)
    world.options |= {"path": str(world.raw), "format": form}
    world.run()
    assert [row["u"] for row in world.rows()] == ["a"]


def test_text_of_another_encoding(world):
    text = LINES[:99].decode().encode("utf-16")
    refused(world, "a.csv", text, "text in UTF-16 (set source.encoding to utf-16)")


def test_parquet_that_is_none(world):
    refused(world, "a.parquet", LINES[:99], form="parquet")


def test_parquet_that_breaks_off(world, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"u": ["a"] * 99, "i": ["b"] * 99, "t": ["c"] * 99}), tmp_path / "x")
    refused(world, "a.parquet", (tmp_path / "x").read_bytes()[:-20], form="parquet")


def test_parquet_in_the_place_of_text(world):
    refused(world, "a.csv", b"PAR1" + LINES[:99], "it is a Parquet file")


def test_a_packed_file_of_nothing(world):
    (world.raw / "idle.csv.gz").write_bytes(gzip.compress(b""))
    world.options["path"] = str(world.raw)
    with pytest.raises(SourceError, match="no rows"):
        world.run()
    world.write("a.csv", "x,1,2024-01-01")
    assert world.run().rows_written == 1


def test_a_file_that_may_not_be_read(world, monkeypatch):
    """Root may read everything, so the system's answer is played."""
    world.write("a.csv", "x,1,2024-01-01")

    def forbidden(uri):
        raise PermissionError(13, "Permission denied", uri)

    monkeypatch.setattr(raw, "filesystem_of", _only(forbidden, raw.filesystem_of, world.raw))
    with pytest.raises(SourceError, match=r"a\.csv cannot be read .*give read permission"):
        world.run()


def _only(forbidden, real, folder):
    """``filesystem_of`` that hands out no file of the folder."""

    def opened(uri):
        return (
            forbidden(uri) if str(uri).endswith(".csv") and str(folder) in str(uri) else real(uri)
        )

    return opened


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (
            OSError("Failed to open 'x'. Detail: [errno 13] Permission denied"),
            "give read permission",
        ),
        (FileNotFoundError("gone"), "is somebody moving files"),
        (OSError("odd"), "copied to its end"),
    ],
)
def test_what_to_do_depends_on_what_the_system_said(error, part):
    assert part in str(unreadable("nowhere/x.csv", error))
