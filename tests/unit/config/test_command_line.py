"""Commands: a file each, an example each, and what a wrong word ends in."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys

import click
import pytest

from truelift.cli import main, parsed, truelift
from truelift.errors import ConfigError
from truelift.settings import Settings

ALL = truelift.list_commands(click.Context(truelift))


def help_of(capsys, *words: str) -> str:
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ALL)
def test_help_of_every_command_says_what_it_does_and_shows_an_example(name, capsys):
    said = help_of(capsys, name)
    assert f"Usage: truelift {name}" in said
    examples = said.partition("Examples:\n")[2]
    assert f"truelift {name}" in examples or f"$(truelift {name})" in examples


@pytest.mark.parametrize("name", ALL)
def test_examples_of_help_are_commands_that_are_understood(name, capsys):
    for line in help_of(capsys, name).partition("Examples:\n")[2].splitlines():
        if line.strip().startswith("truelift "):
            assert parsed(line.split()[1:]).name == line.split()[1]


def test_without_a_command_help_is_shown_with_all_of_them(capsys):
    assert main([]) == 0
    bare = capsys.readouterr().out
    assert bare == help_of(capsys)
    listed = [line.split()[0] for line in bare.splitlines() if line.startswith("  ")]
    assert set(ALL) <= set(listed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run_pipelin"], "there is no command 'run_pipelin'. Did you mean 'run_pipeline'?"),
        (["clean", "--datset", "x"], "No such option '--datset'"),
        (["clean", "mine.yaml"], "unexpected extra argument (mine.yaml)"),
        (["forget_user"], "Missing option '--user'. 'truelift forget_user --help' shows"),
        (["train_sequence", "--np", "two"], "'--np': 'two' is not a valid integer"),
        (["simulate_logs", "--rows", "many", "--out", "x"], "'many', expected a number of rows"),
        (["simulate_logs", "--rows", "5", "--out", "x", "days=3"], "expected --set before key=val"),
        (["clean", "--set", "seed"], "--set: found 'seed', expected key=value"),
    ],
)
def test_a_wrong_word_ends_with_2_and_one_line(words, said, capsys):
    assert main(words) == 2
    told = capsys.readouterr()
    assert not told.out and told.err.startswith("truelift: ") and said in told.err
    assert told.err.count("\n") == 1


def test_an_understood_command_is_not_run():
    asked = parsed(["run_pipeline", "--from", "clean", "--set", "seed=3", "--set", "sample=0.1"])
    assert (asked.name, asked.given["start"]) == ("run_pipeline", "clean")
    assert asked.overrides() == ["seed=3", "sample=0.1"]
    assert asked.layers() == {
        "env": "local", "dataset": None, "lake": None, "interactions": None,
    }  # fmt: skip
    assert parsed(["clean", "--help"]) is None
    with pytest.raises(ConfigError, match="there is no command"):
        parsed(["cleen"])


def test_short_options_stand_before_what_is_set_by_key():
    given = ["train_sequence", "--np", "3", "--tune", "4", "--warm-start", "champion"]
    asked = parsed([*given, "--test", "a b.txt", "--set", "sequence.ranks.processes=1"])
    assert asked.overrides() == [
        "sequence.ranks.processes=3", 'sequence.evaluation.test_file="a b.txt"', "sequence.training.warm_start=champion",
        "sequence.training.tune=4", "sequence.ranks.processes=1",
    ]  # fmt: skip


def test_several_values_may_follow_one_set_of_a_simulated_world():
    asked = parsed(
        ["simulate_logs", "--rows", "1e3", "--set", "days=3", "dirt.duplicate=.2", "--out", "x"]
    )
    assert (*asked.given["world"], *asked.given["more"]) == ("days=3", "dirt.duplicate=.2")


def test_an_older_name_is_told_of_in_one_line_without_a_place_of_ours(tmp_path, capsys):
    words = ["--lake", str(tmp_path / "lake"), "--set", "effects.confidence=0.9"]
    assert main(["plan", *words, "--only", "report"]) == 0
    told = capsys.readouterr().err.splitlines()
    older = [line for line in told if "Older names" in line]
    assert older == [
        "truelift: Older names of settings, which are read until the next release: "
        "effects.confidence is effects.inference.confidence now."
    ]


OWN = """
import click
from truelift.command_line import command

@command("truelift hello --name ann", with_settings=False)
@click.option("--name", default="you")
def hello(name):
    '''A greeting.'''
    return f"hello {name}"
"""


def test_a_command_of_another_package_is_found_by_its_name(bring, capsys):
    bring("truelift.commands", OWN, hello="hello")
    assert main(["hello", "--name", "ann"]) == 0
    assert capsys.readouterr().out == "hello ann\n"


def test_a_shell_completes_commands_and_options():
    def completed(words: str) -> str:
        asked = {"_TRUELIFT_COMPLETE": "bash_complete", "COMP_WORDS": words}
        count = str(len(words.split(" ")) - 1)
        done = subprocess.run(
            [sys.executable, "-m", "truelift.cli"], capture_output=True, text=True, check=False,
            env={**os.environ, **asked, "COMP_CWORD": count},
        )  # fmt: skip
        return done.stdout

    assert "plain,forget_user" in completed("truelift forg")
    assert "plain,--warm-start" in completed("truelift train_sequence --warm")


@pytest.mark.parametrize(
    ("words", "target", "handed"),
    [
        ("explain-quarantine --examples 5", "logs.explain:explain_quarantine", ("lake", 5)),
        ("maintain --retain-hours 9 --force", "lake.maintenance:maintain", ("lake", 9.0, True)),
        ("forget_user --user 12", "logs.forget:forget_user", ("job", "12")),
        ("fit_limits", "logs.outliers:fit_limits", ("job",)),
        (
            "build_panel --spec campaigns --out gold/x",
            "features.panels.build:build_panel",
            ("job", "campaigns", "gold/x"),
        ),
        ("build_panel", "pipeline:run_step", ("build_panel", 7)),
        (
            "evaluate_sequence --model 3 --model champion --items stock.txt",
            "evaluation.job:evaluate_sequence",
            ("job", ("3", "champion"), "stock.txt", None),
        ),
        ("clean --set seed=3", "pipeline:run_step", ("clean", 3)),
        ("train_sequence --np 3", "pipeline:run_step", ("train_sequence", 7)),
        (
            "run_pipeline --from clean --only report",
            "pipeline:run_pipeline",
            (7, "clean", "report"),
        ),
    ],
)
def test_a_command_hands_its_options_on(words, target, handed, monkeypatch, capsys):
    seen = []

    def plain(value):
        if isinstance(value, Settings):
            return value.seed
        return getattr(value, "name", value)

    class Told:
        record = summary = lambda self: "told"
        step, seconds, skipped = "clean", 0.0, False

    def fake(*given, **named):
        named.pop("announce", None)
        seen.append((*map(plain, given), *map(plain, named.values())))
        return Told()

    @contextlib.contextmanager
    def in_a_job(name, settings, *sections, summary):
        assert summary.endswith(".") and name == words.split()[0]
        yield "job"

    module, _, function = target.partition(":")
    monkeypatch.setattr(f"truelift.{module}.{function}", fake)
    monkeypatch.setattr("truelift.lake.Lake.open", lambda settings, spark=None: "lake")
    monkeypatch.setattr("truelift.console.step_line", lambda outcome: "a line")
    monkeypatch.setattr("truelift.console.closing_table", lambda outcomes, settings: "a table")
    for command in ("forget_user", "fit_limits", "build_panel", "evaluate_sequence"):
        place = importlib.import_module(f"truelift.commands.{command}")
        monkeypatch.setattr(place, "tool_job", in_a_job)
    assert main(words.split()) == 0
    assert seen == [handed]
