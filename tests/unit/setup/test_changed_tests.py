"""Which test files a change can reach: by imports, by fixtures that are asked for, by names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.changed import Reach, changed_files

SOURCES = {
    "lib/truelift/__init__.py": "",
    "lib/truelift/arrays/__init__.py": "",
    "lib/truelift/arrays/keys.py": "WIDTH = 8",
    "lib/truelift/logs/__init__.py": "",
    "lib/truelift/logs/clean.py": "def clean():\n    from truelift.arrays.keys import WIDTH",
    "lib/truelift/report/__init__.py": "",
    "lib/truelift/report/page.py": "SHEET = 'page.css'",
    "lib/truelift/report/page.css": "",
    "lib/truelift/cli.py": "STEPS = 'truelift.logs.clean:clean'",
    "lib/truelift/commands/__init__.py": "",
    "lib/truelift/commands/draw_page.py": "def draw_page():\n    from truelift.report.page import SHEET",
    "tests/__init__.py": "",
    "tests/conftest.py": (
        "import pytest\nfrom truelift.report.page import SHEET\n"
        "@pytest.fixture\ndef sheet():\n    return SHEET\n"
    ),
    "tests/oracle.py": "from truelift.arrays import keys",
    "tests/unit/test_clean.py": "from truelift.logs import clean",
    "tests/unit/test_keys.py": "def test_one():\n    from tests.oracle import keys",
    "tests/unit/test_page.py": "def test_it(sheet):\n    assert sheet",
    "tests/unit/test_docs.py": "PAGE = 'docs/keys.md'",
    "tests/unit/test_command.py": "CALL = ['-m', 'truelift.cli']",
    "tests/unit/test_drawing.py": "CALL = ['draw_page', '--help']",
    "docs/keys.md": "",
    "docs/other.md": "",
    "pyproject.toml": "",
}


@pytest.fixture
def repository(tmp_path) -> Path:
    for place, text in SOURCES.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    return tmp_path


def names(files: list[str]) -> set[str]:
    return {Path(file).stem.removeprefix("test_") for file in files}


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ("lib/truelift/arrays/keys.py", {"clean", "keys", "command"}),
        ("lib/truelift/logs/clean.py", {"clean", "command"}),
        ("lib/truelift/logs/__init__.py", {"clean", "command"}),
        ("lib/truelift/report/page.py", {"page", "drawing"}),
        ("lib/truelift/report/page.css", {"page", "drawing"}),
        ("lib/truelift/commands/draw_page.py", {"drawing"}),
        ("lib/truelift/cli.py", {"command"}),
        ("tests/oracle.py", {"keys"}),
        ("tests/unit/test_page.py", {"page"}),
        ("tests/conftest.py", {"clean", "keys", "page", "docs", "command", "drawing"}),
        ("docs/keys.md", {"docs"}),
        ("docs/other.md", {"docs"}),
        ("LICENSE", set()),
        ("pyproject.toml", {"clean", "keys", "page", "docs", "command", "drawing"}),
    ],
)
def test_a_change_reaches_who_runs_reads_or_names_it(repository, changed, wanted):
    assert names(Reach(repository).tests([changed])) == wanted


def test_what_differs_from_where_the_branch_began_counts_committed_or_not(repository):
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        command = ["git", "-C", str(repository), *who, *arguments]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "all")
    git("checkout", "-qb", "branch")
    (repository / "docs" / "keys.md").write_text("new")
    git("commit", "-qam", "one")
    (repository / "lib" / "truelift" / "cli.py").write_text("")
    (repository / "tests" / "unit" / "test_new.py").write_text("")
    git("checkout", "-q", "main")
    git("checkout", "-q", "branch")
    found = changed_files(repository, "main")
    assert found == ["docs/keys.md", "lib/truelift/cli.py", "tests/unit/test_new.py"]


def test_rooms_that_do_not_know_each_other_do_not_run_each_others_tests():
    reach, changed = Reach(), ["lib/truelift/logs/neighbours/slips.py"]
    for file, wanted in (
        ("tests/unit/logs/test_neighbour_rules.py", True),
        ("tests/pipeline/test_pipeline_sample.py", True),
        ("tests/unit/inference/test_inference_sums.py", False),
    ):
        assert file in reach.files
        assert reach.sees(file, changed) == wanted
