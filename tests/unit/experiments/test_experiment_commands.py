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
