"""Experiments in a lake: the numbers of one process, a row a look, a part of the assignments each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import truelift as tl
from truelift.errors import DataError
from truelift.experiments.analysis.job import analyze_experiments
from truelift.experiments.analysis.results import Experiments
from truelift.experiments.assignment_job import assign_units
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.address import TableAddress
from truelift.tool_records import newest_of_tools
from truelift.typed import from_plain

METRICS = {"spend": {"winsorise": 0.98}, "wait": {"kind": "quantile", "better": "lower"}}


def spec_of(name, **keys):
    plain = {"name": name, "unit": "user", "metrics": METRICS, "primary": "spend", **keys}
    return from_plain(ExperimentSpec, plain)


def observed(units, arms, effect=0.6):
    rng = np.random.default_rng(5)
    treated = np.repeat(np.array(arms) == "treated", 2)
    return pa.table(
        {
            "user": np.repeat(np.array(units), 2), "arm": np.repeat(np.array(arms), 2),
            "spend": rng.gamma(2.0, 1.0, 2 * len(units)) + effect * treated,
            "wait": rng.exponential(size=2 * len(units)),
        }
    )  # fmt: skip


def test_experiments_are_assigned_and_looked_at(tmp_path, make_job, make_settings):
    looks = {"method": "obrien_fleming", "planned": 2, "units": 600}
    layer = {"layer": "shop", "layer_to": 0.5}
    spec = spec_of("one", looks=looks, assignment=layer)
    people = pa.table({"user": [f"u{i}" for i in range(1200)]})
    pq.write_table(people, tmp_path / "people.parquet")
    address = TableAddress.parse(str(tmp_path / "people.parquet"))
    job = make_job("report", make_settings())

    made = assign_units(job, spec, address)
    assert made.table.equals(tl.assign_experiment(people, spec).table)
    other = spec_of("two", assignment={**layer, "layer_from": 0.5, "layer_to": 1.0})
    assign_units(job, other, address)
    version = job.lake.version("gold.assignments")
    assign_units(job, spec, address)
    assert job.lake.version("gold.assignments") == version  # the same again writes nothing
    held = job.lake.read("gold.assignments").select("experiment").toArrow()["experiment"]
    counts = {row["values"]: row["counts"] for row in pc.value_counts(held).to_pylist()}
    assert counts == {spec.name: 1200, "two": 1200}
    with pytest.raises(DataError, match="take part in one too"):
        assign_units(job, spec_of("three", assignment={"layer": "shop"}), address)

    taking = made.table.filter(pc.is_valid(made.table["arm"]))
    rows = observed(taking["unit_id"].to_pylist(), taking["arm"].to_pylist())
    place = str(tmp_path / "observed.parquet")
    for i, (count, number) in enumerate(((400, 1), (400, 1), (rows.num_rows, 2))):
        pq.write_table(rows.slice(0, count), place)
        job = make_job("report", make_settings(), fingerprint=f"look {i}")
        result = analyze_experiments(job, [spec], TableAddress.parse(place))
        found = result.analyses[0]
        assert found.look == number == job.lake.read("gold.experiments").count()
    assert [(c.experiment, c.decision) for c in result.conclusions] == [(spec.name, found.decision)]
    alone = tl.analyze_experiment(rows, spec, found.looks[:-1])
    assert (alone.decision, alone.critical) == (found.decision, pytest.approx(found.critical))
    for one, same in zip(found.effects, alone.effects, strict=True):
        assert one.estimate == pytest.approx(same.estimate, rel=1e-10)
        assert one.standard_error == pytest.approx(same.standard_error, rel=1e-8)
    assert job.run.tags[f"truelift.decision.{spec.name}"].startswith(found.decision)
    assert found.reasons[0] in job.run.description
    kept = newest_of_tools(job.lake.root, "", Experiments)
    assert kept is not None and kept.conclusions == result.conclusions
