"""A worker reads an archive's directory again where the archive changed, and only there."""

from __future__ import annotations

import os
import subprocess
import sys

COUNTED = """
import importlib, os, sys, zipfile, zipimport
from truelift.lake.workers import remember_archives

read = []
directory = zipimport._read_directory
zipimport._read_directory = lambda archive: (read.append(archive), directory(archive))[1]

def write(name):
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr(f"{name}.py", "value = 1")

archive = sys.argv[1]
write("module_one")
sys.path.insert(0, archive)
remember_archives()
remember_archives()
import module_one
importlib.invalidate_caches()
first = len(read)
importlib.invalidate_caches()
importlib.invalidate_caches()
again = len(read) - first
write("module_two")
importlib.invalidate_caches()
changed = len(read) - first
import module_two
print(again, changed, module_two.value)
"""


def test_an_archive_is_read_again_only_where_it_changed(tmp_path):
    paths = os.pathsep.join(p for p in sys.path if p)
    found = subprocess.run(
        [sys.executable, "-c", COUNTED, str(tmp_path / "packed.zip")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert found.stdout.split() == ["0", "1", "1"]
