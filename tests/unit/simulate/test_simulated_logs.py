"""The simulated shop: its sessions, dirt and effects are what it says they are."""

import datetime
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import csv

from truelift.config import load_settings
from truelift.simulate.log_files import write_logs
from truelift.simulate.logs import LogWorld, simulate_logs

LOGS = simulate_logs(users=60, days=60, seed=3)
_DIRTY = ("no_user", "unreadable_time", "negative_quantity")


def clean_rows(logs=LOGS) -> list[dict]:
    rows = {r["id"]: r for r in logs.events.to_pylist() if not r["id"].startswith(_DIRTY)}
    return [{**r, "at": datetime.datetime.fromisoformat(r["at"][:-1])} for r in rows.values()]


def test_the_counts_of_dirt_add_up():
    assert LOGS.events.num_rows == LOGS.clean_events + sum(LOGS.dirt.values())
    assert len(clean_rows()) == LOGS.clean_events
    assert all(count > 0 for count in LOGS.dirt.values())


def test_each_kind_of_dirt_is_what_its_name_says():
    rows = LOGS.events.to_pylist()
    ids = Counter(r["id"] for r in rows)
    assert sum(ids.values()) - len(ids) == LOGS.dirt["duplicate"]
    assert sum(r["visitor"] == "" for r in rows) == LOGS.dirt["no_user"]
    assert sum(r["at"] == "yesterday" for r in rows) == LOGS.dirt["unreadable_time"]
    assert sum(r["qty"] == "-1" for r in rows) == LOGS.dirt["negative_quantity"]


@pytest.mark.parametrize("minutes", [10, 30, 240])
def test_the_sessions_of_any_usual_timeout_are_the_visits(minutes):
    starts, last = [], {}
    for row in sorted(clean_rows(), key=lambda r: (r["visitor"], r["at"])):
        before = last.get(row["visitor"])
        if before is None or row["at"] - before > datetime.timedelta(minutes=minutes):
            starts.append((row["visitor"], row["at"].replace(tzinfo=datetime.timezone.utc)))
        last[row["visitor"]] = row["at"]
    truth = zip(
        LOGS.sessions["visitor"].to_pylist(), LOGS.sessions["start"].to_pylist(), strict=True
    )
    assert sorted(starts) == sorted(truth)
    assert sum(LOGS.sessions["events"].to_pylist()) == LOGS.clean_events


def test_active_visitors_are_treated_more_often():
    units = LOGS.units.to_pylist()
    treated = [u["expected_visits_untreated"] for u in units if u["treated"]]
    others = [u["expected_visits_untreated"] for u in units if not u["treated"]]
    assert np.mean(treated) > 1.2 * np.mean(others)


def test_visits_in_the_window_come_as_often_as_the_truth_says():
    logs = simulate_logs(users=900, days=40, world=LogWorld(campaign_starts=(0.5,)), seed=1)
    low, high = logs.campaigns["m1"]
    seen = Counter(
        visitor
        for visitor, start in zip(
            logs.sessions["visitor"].to_pylist(), logs.sessions["start"].to_pylist(), strict=True
        )
        if low <= start.date() <= high
    )
    for arm, column in ((1, "expected_visits_treated"), (0, "expected_visits_untreated")):
        units = [u for u in logs.units.to_pylist() if u["treated"] == arm]
        found = np.mean([seen[u["visitor"]] for u in units])
        assert found == pytest.approx(np.mean([u[column] for u in units]), rel=0.08)


def test_the_average_effect_is_that_of_the_units_and_larger_for_the_treated():
    everyone, treated = LOGS.effect_on_visits(("m2",)), LOGS.effect_on_visits(("m2",), True)
    units = [u for u in LOGS.units.to_pylist() if u["campaign"] == "m2"]
    assert everyone == pytest.approx(
        np.mean([u["expected_visits_treated"] - u["expected_visits_untreated"] for u in units])
    )
    assert treated > everyone > 0


def test_exposures_are_the_treated_units_and_responses_come_in_their_windows():
    treated = {(u["campaign"], u["visitor"]) for u in LOGS.units.to_pylist() if u["treated"]}
    windows = {(e["mailing"], e["visitor"]): e for e in LOGS.exposures.to_pylist()}
    assert set(windows) == treated
    for answer in LOGS.responses.to_pylist():
        sent = windows[answer["mailing"], answer["visitor"]]
        assert sent["from"] <= answer["at"] <= sent["until"]


def test_the_written_folder_is_a_data_set_that_the_configuration_reads(tmp_path):
    mapping = write_logs(LOGS, tmp_path / "shop", event_files=3)
    settings = load_settings(dataset=str(mapping))
    assert settings.dataset == "shop"
    files = sorted((tmp_path / "shop").glob("events-*.csv"))
    assert len(files) == 3
    texts = csv.ConvertOptions(column_types={n: pa.string() for n in LOGS.events.column_names})
    tables = [csv.read_csv(file, convert_options=texts) for file in files]
    assert pa.concat_tables(tables).equals(LOGS.events)
    named = yaml.safe_load(mapping.read_text())["source"]
    for stream in ("items", "users", "exposures", "responses"):
        header = (tmp_path / "shop" / f"{stream}.csv").read_text().splitlines()[0]
        assert set(named[stream]["columns"].values()) <= set(header.replace('"', "").split(","))
    assert set(settings.source.items.columns) == {"item_id", "name", "category"}


def test_the_same_seed_draws_the_same_logs():
    assert simulate_logs(20, 60, seed=5).events.equals(simulate_logs(20, 60, seed=5).events)


def test_campaigns_that_overlap_are_refused():
    with pytest.raises(ValueError, match="m1 and m2 overlap"):
        simulate_logs(5, 40, LogWorld(campaign_starts=(0.1, 0.2)))
