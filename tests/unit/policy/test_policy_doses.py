"""Policies whose action is a number: kernel weights, their bias, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError, TableError
from truelift.policy.doses.densities import Centred, dose_densities
from truelift.policy.doses.evaluate import CheckDoses, DoseReader
from truelift.policy.doses.job import rows_of
from truelift.policy.doses.spec import DoseSpec
from truelift.policy.off_policy.log import cut_log
from truelift.public.tables import opened
from truelift.typed import from_plain


def dose_log(users: int, rows: int = 4, seed: int = 0) -> tuple[pd.DataFrame, float]:
    """Doses drawn about the context; the proposed one is where rewards peak."""
    rng = np.random.default_rng(seed)
    n = users * rows
    x, shared = (np.repeat(rng.normal(size=users), rows) for _ in range(2))
    dose = 0.5 * x + rng.normal(size=n)
    density = np.exp(-0.5 * (dose - 0.5 * x) ** 2) / np.sqrt(2 * np.pi)
    proposed = 0.3 + 0.3 * x
    reward = (
        2 * np.exp(-2 * (dose - proposed) ** 2) + 0.5 * x + 0.5 * shared + 0.5 * rng.normal(size=n)
    )
    frame = {
        "user": np.repeat(np.arange(users), rows), "x": x, "dose": dose, "density": density,
        "proposed": proposed, "gain": reward,
    }  # fmt: skip
    return pd.DataFrame(frame), 2.0


def evaluated(frame, **keys):
    asked = {
        "dose": "dose", "density": "density", "rewards": "gain", "user": "user", "context": "x",
        "policies": {"new": {"dose": "proposed"}, "low": {"always": -0.5}}, "band_draws": 2000, "buckets": 10,
    }  # fmt: skip
    return tl.evaluate_doses(frame, **asked | keys)


def test_estimates_are_the_published_formulas_at_every_bandwidth():
    frame, _ = dose_log(200)
    found = evaluated(frame, bandwidths=[0.3, 0.9]).to_pandas()
    a, r, d, f = (frame[c].to_numpy() for c in ("dose", "gain", "proposed", "density"))
    for h in (0.3, 0.9):
        u = (a - d) / h
        w = np.where(np.abs(u) < 1, 0.75 * (1 - u**2), 0) / h / f
        own = found[(found.policy == "new") & (found.bandwidth == h)].set_index("estimator")
        psi = (w * r - (w * r).mean()) / len(r)
        clustered = np.bincount(frame.user, psi)
        assert own.estimate["kernel IPS"] == pytest.approx((w * r).mean())
        assert own.estimate["kernel SNIPS"] == pytest.approx((w * r).sum() / w.sum())
        error = np.sqrt((clustered**2).sum() * 200 / 199)
        assert own.standard_error["kernel IPS"] == pytest.approx(error)


def test_the_bias_of_smoothing_is_told_and_taken_out():
    frame, truth = dose_log(1000)
    value = evaluated(frame).value("new", "gain")
    plain = value.value + value.bias
    assert value.bias < 0  # a peak is smoothed down
    assert abs(value.value - truth) < abs(plain - truth)
    assert value.ci_lower < truth < value.ci_upper
    assert value.ships and value.verdict == "supported"


def test_the_corrected_value_is_a_combination_of_two_bandwidths():
    frame, _ = dose_log(300)
    result = evaluated(frame, bandwidths=[0.4, 0.8])
    sweep = (
        result.to_pandas().query("policy == 'new' and estimator == 'kernel DR'").estimate.tolist()
    )
    value = result.value("new", "gain")
    # e + c h^2 at two bandwidths, without c: h doubles, so 4/3 of the one less 1/3 of the other.
    assert value.value == pytest.approx((4 * sweep[0] - sweep[1]) / 3)


def test_rows_of_the_table_have_the_sweep_and_one_value_that_decides():
    frame, _ = dose_log(200)
    result = evaluated(frame)
    rows = pd.DataFrame(rows_of(result))
    assert len(rows) == 2 * (3 * 9 + 1)
    assert rows[rows.selected].estimate.tolist() == [v.value for v in result.values]


def test_doses_that_the_log_never_gave_are_not_supported():
    frame, _ = dose_log(200)
    result = evaluated(frame, policies={"far": {"always": 30.0}})
    assert result.exit_code == 3
    assert "no logged dose lies near" in str(result)
    # What is divided by no weight is no number, and no row of the table.
    assert result.to_pandas().notna().all(axis=None) and "nan" not in str(result)
    assert "no dose so near" in str(result)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda f: f.assign(density=0.0), DataError, "a density above zero"),
        (lambda f: f.assign(gain=np.nan), DataError, "0 where nothing came of it"),
        (lambda f: f.assign(gain=1.0), DataError, "the reward is 1 in every row"),
        (lambda f: f.assign(dose=2.0), DataError, "the dose is 2 in every row"),
        (lambda f: f.assign(dose=0.1), DataError, r"the dose is 0\.1 in every row"),
        (lambda f: f.assign(proposed=np.nan), DataError, r"policies\.new"),
        (lambda f: f.assign(user=None), DataError, "a key in every row"),
        (lambda f: f.drop(columns="density"), TableError, "density"),
        (lambda f: f.assign(dose="high"), TableError, "expected numbers"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_be_used_is_one_message(change, error, said):
    with pytest.raises(error, match=said):
        evaluated(change(dose_log(60)[0]))


@pytest.mark.parametrize(
    "keys",
    [
        {"policies": {"both": {"dose": "proposed", "always": 1.0}}},
        {"policies": {"endless": {"always": float("inf")}}},
        {"bandwidths": [0.1, -1]},
        {"bandwidths": [0.5]},
    ],
)
def test_a_specification_that_cannot_be_is_one_message(keys):
    with pytest.raises(ConfigError):
        evaluated(dose_log(60)[0], **keys)


def skewed_log(rows: int, seed: int = 0) -> pd.DataFrame:
    """Doses with a location and a scale that go with the context, and a skewed shape, with their density."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, rows)
    location, scale = 1 + x + 0.5 * x**2, np.exp(0.4 * x)
    z = rng.gamma(3, 1, rows)
    frame = {
        "user": np.arange(rows), "x": x, "dose": location + scale * z,
        "density": z**2 * np.exp(-z) / 2 / scale, "proposed": location + 2 * scale,
    }  # fmt: skip
    held = pd.DataFrame(frame)
    return held.assign(gain=-((held.dose - held.proposed) ** 2) + rng.normal(size=rows))


def test_densities_that_the_log_lacks_are_near_those_of_it():
    frame = skewed_log(8000)
    spec = from_plain(DoseSpec, {
        "dose": "dose", "density_model": "location-scale", "rewards": ["gain"], "user": "user", "context": ["x"],
        "policies": {"new": {"dose": "proposed"}},
    })  # fmt: skip
    log = cut_log(opened(frame), spec.columns(), "user", 10)
    reader = DoseReader(spec)
    checked = log.sum(CheckDoses(reader))
    centred = Centred.of(checked["moments"], checked["context"])
    found = dose_densities(log, reader, centred, lambda text: None)
    ratio = []
    for bucket, held in log.panel.buckets.items():
        rows = reader.rows(iter(held.to_batches()))
        z = (rows.logged - 1 - rows.context[:, 0] - 0.5 * rows.context[:, 0] ** 2) / np.exp(
            0.4 * rows.context[:, 0]
        )
        truth = z**2 * np.exp(-z) / 2 / np.exp(0.4 * rows.context[:, 0])
        own = found.of_rows(rows, bucket % spec.folds)
        ratio.append((own / truth)[(z > 0.7) & (z < 6)])
    assert 0.97 < np.concatenate(ratio).mean() < 1.03
    assert np.quantile(np.abs(np.concatenate(ratio) - 1), 0.9) < 0.15


def test_values_by_estimated_densities_are_near_those_by_known_ones():
    frame = skewed_log(6000, seed=1)
    policies = {"new": {"dose": "proposed"}}
    known = evaluated(frame, policies=policies).value("new", "gain")
    keys = {"policies": policies, "density": None, "density_model": "location-scale"}
    result = evaluated(frame.drop(columns="density"), **keys)
    found = result.value("new", "gain")
    assert found.verdict == "supported" and "estimated from x by location-scale" in str(result)
    assert abs(found.value - known.value) < 2 * known.standard_error
    assert found.ci_lower < 0 < found.ci_upper  # the proposed dose is the best, which is worth 0


def test_estimated_densities_do_not_depend_on_where_context_and_dose_begin():
    # A year and a price have means that are hundreds of deviations away from zero.
    frame = dose_log(300)[0]
    keys = {
        "density": None, "density_model": "location-scale", "bandwidths": [0.4, 0.8],
        "policies": {"new": {"dose": "proposed"}},
    }  # fmt: skip
    moved = frame.assign(x=frame.x + 2020, dose=frame.dose + 900, proposed=frame.proposed + 900)
    own, found = (evaluated(f, **keys).to_pandas() for f in (frame, moved))
    plain = own.estimator != "kernel DR"  # whose reward model is another
    assert found.estimate[plain].to_numpy() == pytest.approx(own.estimate[plain].to_numpy())


def test_context_that_is_missing_is_something_that_the_log_chose_by():
    # Where the context is missing the log gave doses about 2, and half of it elsewhere.
    frame = dose_log(1500)[0]
    lost = frame.user % 4 == 0
    noise = np.random.default_rng(0).normal(size=len(frame))
    centre = np.where(lost, 2.0, 0.5 * frame.x)
    dose = centre + frame.dose - 0.5 * frame.x
    frame = frame.assign(
        dose=dose, x=frame.x.where(~lost), gain=2 * np.exp(-2 * (dose - 1) ** 2) + 0.5 * noise,
        density=np.exp(-0.5 * (dose - centre) ** 2) / np.sqrt(2 * np.pi),
    )  # fmt: skip
    policies = {"new": {"always": 1.0}}
    known = evaluated(frame, policies=policies).value("new", "gain")
    keys = {"density": None, "density_model": "location-scale", "policies": policies}
    found = evaluated(frame, **keys).value("new", "gain")
    assert found.value == pytest.approx(known.value, abs=0.5 * known.standard_error)


def test_few_users_and_a_dose_far_off_are_no_stack_trace():
    frame = dose_log(200)[0]
    keys = {"density": None, "density_model": "location-scale"}
    with pytest.raises(DataError, match="all rows are of users in one fold"):
        evaluated(frame.assign(user=1), **keys)
    far = pd.concat([frame, frame.iloc[:1].assign(dose=1e6)])
    assert evaluated(far, **keys).exit_code == 3


def test_a_shape_that_changes_with_the_context_is_seen_by_the_weights():
    # One mode where x is low, two where it is high: no location and scale make the one of the other.
    rng = np.random.default_rng(0)
    x = np.repeat([0.0, 1.0], 4000)
    side = rng.choice([-2.0, 2.0], 8000) * x
    frame = pd.DataFrame(
        {"user": np.arange(8000), "x": x, "dose": side + 0.3 * rng.normal(size=8000)}
    )
    frame = frame.assign(gain=rng.normal(size=8000), proposed=0.0)
    keys = {
        "density": None,
        "density_model": "location-scale",
        "policies": {"new": {"dose": "proposed"}},
    }
    assert evaluated(frame, **keys).value("new", "gain").verdict != "supported"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"density": None}, "neither"),
        ({"density_model": "location-scale"}, "density and density_model"),
        ({"density": None, "density_model": "guess"}, "location-scale"),
        ({"density": None, "density_model": "location-scale", "context": []}, "what the log chose by"),
    ],
)  # fmt: skip
def test_densities_come_from_one_place(keys, said):
    with pytest.raises(ConfigError, match=said):
        evaluated(dose_log(60)[0], **keys)
