"""Commands that the documentation and the data sets show are commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from truelift.cli import parsed
from truelift.settings.layer_files import conf_directory

ROOT = Path(__file__).parents[3]
_COMMAND = re.compile(
    r"^(?:# ?|(?:\.venv/bin/)?)truelift (?P<words>[\w-]+ --.+)$|`truelift (?P<inline>[^`]+)`"
)


def commands() -> list[str]:
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    files += sorted((conf_directory() / "datasets").glob("*.yaml"))
    found = set()
    for file in files:
        # A line may be continued with a backslash, or broken inside backticks.
        text = re.sub(r"\\\n\s*", " ", file.read_text())
        text = re.sub(r"`truelift\n", "`truelift ", text)
        for match in re.finditer(_COMMAND.pattern, text, re.MULTILINE):
            found.add(match["words"] or match["inline"])
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_a_written_command_is_understood(command):
    words = shlex.split(command.replace("...", "X"), comments=True)
    asked = parsed(words)  # nothing where help is given before the rest is looked at
    assert asked is None if "--help" in words else asked.name == words[0]


def test_the_commands_are_found():
    jobs = {command.split()[0] for command in commands()}
    assert {"run_pipeline", "sessionize", "simulate_logs", "forget_user", "maintain"} <= jobs
