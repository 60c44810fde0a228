"""What lies in files of a store, from the names of its files alone."""

from __future__ import annotations

from pathlib import Path

from regionserver.hosting.store_files import StoreFiles, files_of


def test_tables_and_logs_are_counted_and_nothing_else(tmp_path: Path) -> None:
    for name, size in (("000010.sst", 100), ("000012.sst", 50), ("000013.log", 7), ("MANIFEST-000005", 999)):
        (tmp_path / name).write_bytes(bytes(size))
    found = files_of(tmp_path)
    assert found == StoreFiles(tables_count=2, tables_bytes=150, log_bytes=7)
    assert found.all_bytes == 157
    assert found + found == StoreFiles(4, 300, 14)
    assert files_of(tmp_path / "gone") == StoreFiles()
