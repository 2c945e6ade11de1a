"""The commands of experiments: what they print, and how they end."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import truelift as tl
from truelift.cli import main

SPEC = {
    "name": "checkout",
    "unit": "customer",
    "metrics": {"revenue": {"measured_in": "dollars"}},
    "design": {"baseline": {"mean": 50.0, "sd": 80.0}, "effect": 2.0, "units_per_day": 4000},
}


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        place = tmp_path / "spec.yaml"
        place.write_text(yaml.safe_dump({**SPEC, **changes}))
        return str(place)

    return write


def test_a_design_is_read_out_and_its_power_is_drawn(written, tmp_path, capsys):
    plot = tmp_path / "deep" / "power.png"
    assert main(["design_experiment", "--spec", written(), "--plot", str(plot)]) == 0
    said = capsys.readouterr().out
    assert "50,236 units find an effect of +2 dollars (+4.00%)" in said and "13 days" in said
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_same_design_comes_of_one_call():
    assert tl.design_experiment(SPEC).units == 50_236
    assert tl.design_experiment(SPEC).to_pandas().shape == (25, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"design": {**SPEC["design"], "units": 100}}, "less than they miss it"),
        ({"arms": {"control": 0.9, "treated": 0.2}}, "add up to 1"),
        ({"metrics": {"revenue": {"kind": "maen"}}}, "expected one of mean"),
        ({"guardrails": {"refunds": {"margin": 1}}}, "expected one of the metrics revenue"),
    ],
)
def test_a_design_that_cannot_be_is_one_message_and_exit_code_2(written, capsys, changes, said):
    assert main(["design_experiment", "--spec", written(**changes)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_past_outcomes_stand_for_a_baseline(written, tmp_path, capsys):
    random = np.random.default_rng(0)
    past = pa.table({"customer": np.arange(4000), "revenue": random.gamma(0.4, 125, 4000)})
    pq.write_table(past, tmp_path / "past.parquet")
    spec = written(design={"effect": 5.0})
    arguments = ["--table", str(tmp_path / "past.parquet"), "--plot", str(tmp_path / "p.png")]
    assert main(["design_experiment", "--spec", spec, *arguments]) == 0
    assert "Drawn 500 times" in capsys.readouterr().out
    assert main(["design_experiment", "--spec", written(unit="buyer"), *arguments]) == 2
    assert "has no column 'buyer'" in capsys.readouterr().err


def test_the_example_is_a_design(capsys, tmp_path):
    plot = str(tmp_path / "p.svg")
    assert main(["design_experiment", "--spec", "checkout", "--plot", plot]) == 0
    assert "refunds" not in capsys.readouterr().err


TRIAL = {
    "name": "trial",
    "unit": "customer",
    "metrics": {"revenue": {}},
    "looks": {"method": "pocock", "planned": 2, "units": 400},
}


def observed(place, customers, promised=0.5, effect=2.0):
    random = np.random.default_rng(1)
    treated = random.random(customers) < promised
    revenue = random.standard_normal(customers) + effect * treated
    rows = {"customer": np.arange(customers), "revenue": revenue}
    pq.write_table(pa.table({**rows, "arm": np.where(treated, "treated", "control")}), place)
    return str(place)


def test_an_experiment_is_analysed_and_its_looks_are_kept(written, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec, table = written(**TRIAL, design={}), tmp_path / "observed.parquet"
    arguments = ["analyze_experiment", "--spec", spec, "--table", str(table), "--looks", "looks"]
    arguments += ["--set", f"report.path={tmp_path}/report"]
    for customers, said in (
        (200, "Look 1 at 50%"),
        (200, "Look 1 at 50%"),
        (400, "Look 2 at 100%"),
    ):
        observed(table, customers)
        assert main(arguments) == 0
        assert said in (out := capsys.readouterr().out) and "trial: SHIP treated" in out
    page = (tmp_path / "report" / "experiments" / "index.html").read_text()
    assert "Ship treated" in page and "What was decided when" in page


def test_sizes_that_were_not_promised_are_exit_code_3(written, tmp_path, capsys):
    table = observed(tmp_path / "observed.parquet", 4000, promised=0.3)
    arguments = ["--spec", written(**TRIAL, design={}), "--table", table]
    arguments += ["--looks", str(tmp_path), "--set", f"report.path={tmp_path}/report"]
    assert main(["analyze_experiment", *arguments]) == 3
    assert "NOT as promised" in capsys.readouterr().out


def test_columns_and_arms_that_are_missing_are_one_message_and_exit_code_2(
    written, tmp_path, capsys
):
    table = observed(tmp_path / "observed.parquet", 100)
    looks = ["--looks", str(tmp_path)]
    for changes, said, where in (
        ({"unit": "buyer"}, "no column 'buyer'", looks),
        ({"unit": "buyer"}, "no column 'buyer'", []),  # before any lake is opened
        ({"arms": {"control": 0.5, "new": 0.5}}, "no rows of the arm 'new'", looks),
    ):
        spec = written(**{**TRIAL, **changes}, design={})
        assert main(["analyze_experiment", "--spec", spec, "--table", table, *where]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_units_are_assigned_into_a_file_in_which_they_stay(written, tmp_path, capsys):
    pq.write_table(pa.table({"customer": np.arange(1000)}), tmp_path / "people.parquet")
    out = tmp_path / "who" / "where.parquet"
    held = []
    for traffic in (0.3, 0.3, 1.0):
        spec = written(**TRIAL, design={}, assignment={"traffic": traffic})
        arguments = ["--spec", spec, "--table", str(tmp_path / "people.parquet"), "--out", str(out)]
        assert main(["assign", *arguments]) == 0
        held.append(pq.read_table(out))
    assert held[0].equals(held[1]) and "1,000 of 1,000 units take part" in capsys.readouterr().out
    taking = held[0].filter(pa.compute.is_valid(held[0]["arm"])).to_pylist()
    assert {(r["unit_id"], r["arm"]) for r in taking} <= {(r["unit_id"], r["arm"]) for r in held[2].to_pylist()}  # fmt: skip
    layer = {"layer": "shop"}
    for name, code in (("one", 0), ("two", 2)):
        spec = written(**{**TRIAL, "name": name}, design={}, assignment=layer)
        people = ["--spec", spec, "--table", str(tmp_path / "people.parquet")]
        beside = ["--beside", str(tmp_path / "one")] if name == "two" else []
        assert main(["assign", *people, "--out", str(tmp_path / name), *beside]) == code
    assert "1,000 units of two take part in" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()
    assert main(["assign", *people, "--beside", str(tmp_path / "one")]) == 2
    assert "--beside: found without --out" in capsys.readouterr().err
    pq.write_table(pa.table({"x": [1]}), out)
    assert main(["assign", *arguments]) == 2
    assert "expected an assignment" in capsys.readouterr().err
