"""The loop as a step: off by default, its table and its record, regrets, and what the report says of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from deltalake import DeltaTable

from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.tables import table_spec
from truelift.loop.pinned import pinned_world
from truelift.loop.results import LoopResult
from truelift.loop.step import play_loop
from truelift.loop.table import with_regrets
from truelift.report.content import ReportContent
from truelift.report.sections.loop import loop
from truelift.typed import from_plain

ON = ("loop.enabled=true", "loop.users=400", "loop.rounds=3", "loop.worlds=2",
      "loop.strategies=[nothing, click_greedy, effect, oracle]")  # fmt: skip


class Tracked:
    """A run that remembers what it is told."""

    def __init__(self):
        self.below = {}

    def nested(self, name, params, note):
        assert not params and note.endswith("run above.")
        told = self.below[name] = {}
        return SimpleNamespace(
            log_metrics=lambda metrics, step: told.update(metrics), finish=lambda tags: None
        )

    def log_dict(self, name, value):
        assert name == "results/LoopResult.json" and value


def job_of(folder, *overrides: str) -> Job:
    settings = load_settings("local", "complete_journey", overrides, str(folder / "lake"))
    return Job("play_loop", settings, Lake(settings), {}, "f1", Tracked(), folder)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    job = job_of(folder, *ON)
    return job, play_loop(job)


def test_the_step_writes_a_row_a_strategy_world_and_round_without_spark(played):
    job, report = played
    held = DeltaTable(job.lake.uri("gold.rounds"))
    assert report.rows_out == len(held.to_pandas()) == 4 * 2 * 3
    assert set(held.to_pandas()["world"]) == {"shop"}
    names = [field.name for field in held.schema().fields]
    assert set(names) == set(table_spec("gold.rounds").names)
    assert not job.lake.session_started


def test_the_same_again_writes_no_version_and_another_fingerprint_takes_the_rows_place(
    played, tmp_path
):
    job, _ = played
    found = from_plain(LoopResult, job.results["LoopResult"])
    lake = Lake(load_settings("local", "complete_journey", (), str(tmp_path / "lake")))
    assert lake.replace_rows("gold.rounds", found.rounds, "f1").version == 0
    assert lake.replace_rows("gold.rounds", found.rounds, "f1").skipped
    again = lake.replace_rows("gold.rounds", found.rounds.slice(0, 5), "f2")
    assert (again.version, again.rows, again.skipped) == (1, 5, False)
    assert len(DeltaTable(lake.uri("gold.rounds")).to_pandas()) == 5


def test_what_the_report_reads_is_what_was_played(played):
    job, _ = played
    found = from_plain(LoopResult, job.results["LoopResult"])
    rows = found.to_pandas().sort_values(["strategy", "seed", "round"], ignore_index=True)
    held = DeltaTable(job.lake.uri("gold.rounds")).to_pandas()
    held = held.sort_values(["strategy", "seed", "round"], ignore_index=True)
    assert rows["additional_total"].tolist() == held["additional_total"].tolist()
    assert rows["held"].tolist() == held["held"].tolist()


def test_a_run_a_round_has_means_over_worlds(played):
    job, _ = played
    assert list(job.run.below) == ["round 1", "round 2", "round 3"]
    rows = from_plain(LoopResult, job.results["LoopResult"]).to_pandas()
    last = rows[(rows["round"] == 2) & (rows["strategy"] == "effect")]
    told = job.run.below["round 3"]
    assert told["effect.additional"] == pytest.approx(last["additional"].mean())
    assert told["effect.regret_oracle"] == pytest.approx(last["regret_oracle"].mean())
    # Who shows nothing is not forecast.
    assert "nothing.forecast" not in told and "effect.forecast" in told


def test_a_loop_that_is_off_leaves_nothing_and_says_so(tmp_path):
    job = job_of(tmp_path, "loop.enabled=false")
    assert play_loop(job).headline == {"skipped": "loop.enabled is false"}
    assert not job.results and not job.outputs
    assert pinned_world(job.settings) == {}


def test_another_dial_of_the_world_is_another_input(tmp_path):
    before = load_settings("local", "complete_journey", ON)
    (tmp_path / "shop.yaml").write_text("substitution: 0.2\n")
    after = replace(before, loop=replace(before.loop, world=str(tmp_path / "shop.yaml")))
    assert pinned_world(before) == pinned_world(before)
    assert pinned_world(before) != pinned_world(after)


def test_an_unknown_strategy_is_refused_by_its_key(tmp_path):
    job = job_of(tmp_path, "loop.enabled=true", "loop.strategies=[efect]")
    with pytest.raises(ConfigError, match=r"loop\.strategies.*Did you mean 'effect'"):
        play_loop(job)


def test_regrets_are_against_the_oracle_and_the_best_other_of_the_same_round():
    rows = [
        {"strategy": name, "seed": 1, "round": 0, "additional_total": brought}
        for name, brought in (("a", 3.0), ("b", 5.0), ("oracle", 9.0))
    ]
    rows.append({"strategy": "a", "seed": 2, "round": 0, "additional_total": 4.0})
    found = [(r["regret_oracle"], r["regret_logged"]) for r in with_regrets(rows)]
    assert found == [(6.0, 2.0), (4.0, 0.0), (0.0, -4.0), (None, 0.0)]


def test_the_section_says_that_nobody_in_it_exists_and_who_brought_what(played):
    job, _ = played
    found = from_plain(LoopResult, job.results["LoopResult"])
    page = str(loop(ReportContent("d", "now", "", others=(found,))))
    assert "A simulated shop, not your data" in page
    assert "what is bought because it was shown" in page
    assert "missed" in page and "against the oracle" in page
    assert page.count("<svg") == 4


def test_a_strategy_that_brought_less_is_not_called_the_best(played):
    found = from_plain(LoopResult, played[0].results["LoopResult"])
    two = [
        k for k, name in enumerate(found.columns["strategy"]) if name in ("nothing", "click_greedy")
    ]
    columns = {name: tuple(v[k] for k in two) for name, v in found.columns.items()}
    page = str(loop(ReportContent("d", "now", "", others=(replace(found, columns=columns),))))
    assert "No strategy brought more than click greedy" in page


def test_what_readers_buy_and_others_lack_does_not_win(played):
    """Ranked by all purchases: a strategy whose sum over readers alone is larger is named, and not the best."""
    found = from_plain(LoopResult, played[0].results["LoopResult"])
    columns = dict(found.columns)
    shifting = [name == "effect" for name in columns["strategy"]]
    base = {
        (seed, at): value
        for name, seed, at, value in zip(
            *(columns[k] for k in ("strategy", "seed", "round", "purchases")), strict=True
        )
        if name == "click_greedy"
    }
    columns["purchases"] = tuple(
        base[seed, at] - 3.0 - seed if shifts else value
        for shifts, seed, at, value in zip(
            shifting, *(columns[k] for k in ("seed", "round", "purchases")), strict=True
        )
    )
    columns["additional_total"] = tuple(
        value + 1_000.0 if shifts else value
        for shifts, value in zip(shifting, columns["additional_total"], strict=True)
    )
    page = str(loop(ReportContent("d", "now", "", others=(replace(found, columns=columns),))))
    assert "effect brought most" not in page
    assert "No strategy brought more than click greedy" in page
    assert "effect adds more to its readers" in page


def test_a_report_without_a_loop_has_no_such_section():
    assert loop(ReportContent("d", "now", "")) is None
