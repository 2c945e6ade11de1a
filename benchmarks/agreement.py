"""Agreement with DoubleML, dml-rs, statsmodels and EconML on the same data.

    python benchmarks/agreement.py [--units 2000] [--peer-python PATH]

Two arms with clusters, and three arms; the peers get our out-of-fold predictions. Each line is our
number, theirs, and the difference divided by the larger of one and theirs; their standard errors
are multiplied by sqrt(G / (G - 1)), the small-sample factor that they leave out (G clusters, or
units). Without --peer-python the script makes an environment for the peers with uv, in the user's
cache. The last line is one JSON object; `ratios` holds the largest difference by peer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

CLIP = 0.01
STRENGTH = {"cf_y": 0.1, "cf_d": 0.05, "rho": 0.9}
TARGET = 1e-8
Numbers = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=2000)
    parser.add_argument("--peer-python", help="an interpreter that can import the peers")
    parser.add_argument("--out", default="benchmarks/results/agreement.json")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(PEERS[options.peer](Path(options.data))))
        return
    from peers import ask, peer_environment

    python = options.peer_python or peer_environment()
    with tempfile.TemporaryDirectory(prefix="truelift-agreement-") as place:
        ours = our_numbers(Path(place), options.units)
        theirs = {peer: ask(python, __file__, "--peer", peer, "--data", place) for peer in PEERS}
    result = {"benchmark": "agreement", "units": options.units, **compared(ours, theirs)}
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def compared(ours: Numbers, theirs: dict[str, dict]) -> dict:
    """Print a line a number; keep them, and the largest difference by peer."""
    figures: dict[str, dict[str, list[float]]] = {}
    ratios: dict[str, float] = {}
    versions: dict[str, str] = {}
    print(f"{'quantity':44}{'truelift':>20}{'peer':>20}{'difference':>13}")
    for peer, numbers in theirs.items():
        figures[peer] = {}
        versions[peer] = numbers.pop("versions")
        print(f"{peer} {versions[peer]}")
        for name, values in numbers.items():
            for part, mine, his in zip(("", ", standard error"), ours[name], values):  # noqa: B905
                difference = abs(mine - his) / max(1.0, abs(his))
                figures[peer][name + part] = [mine, his, difference]
                print(f"  {name + part:42}{mine:>20.12f}{his:>20.12f}{difference:>13.1e}")
                if peer == "econml":  # it fits models of its own
                    ours_holds = abs(mine - his) <= 1.96 * ours[name][1]
                    print(
                        f"  each {name} in the other's interval: {ours_holds and abs(mine - his) <= 1.96 * values[1]}"
                    )
                    break
                # DoubleML finds robustness values by a search that stops at six digits.
                searched = peer == "doubleml" and "robustness" in name
                key = "doubleml, robustness values" if searched else peer
                ratios[key] = max(ratios.get(key, 0.0), difference)
    for peer, largest in ratios.items():
        print(f"{peer}: largest difference {largest:.1e}, {'within' if largest <= TARGET else 'ABOVE'} {TARGET:g}")  # fmt: skip
    return {"versions": versions, "figures": figures, "ratios": ratios}


# ---------------------------------------------------------------- our side


def our_numbers(place: Path, units: int) -> Numbers:
    """Estimate, keep what the peers need in ``place``, and return our numbers by name."""
    from coverage_cells import THREE, in_memory

    from truelift.settings import EffectOptions
    from truelift.simulate.worlds.arms import ArmsWorld as World

    numbers: Numbers = {}
    two = in_memory(World(units, units // 5, 0.3, slopes=(0.5,)).draw(11))
    three = in_memory(World(units, **THREE).draw(12))
    options = {
        "estimands": ("APO", "ATE", "ATT", "GATE", "naive difference"), "groups": ("group",),
        "outcomes": ("y",), "clip": CLIP, "tolerance": 1e-12, "simultaneous": False,
        "small_samples": "cr1",
    }  # fmt: skip
    clustered = EffectOptions(**options)
    alone = EffectOptions(**options, cluster="unit_id")
    for prefix, source, chosen in (
        ("clustered ", two, clustered),
        ("", two, alone),
        ("three arms ", three, EffectOptions(**{**options, "cluster": "unit_id", "estimands": ("ATE", "APO")})),
    ):  # fmt: skip
        numbers |= _estimates(prefix, source, chosen, place)
    return numbers


def _estimates(prefix: str, source, options, place: Path) -> Numbers:  # type: ignore[no-untyped-def]
    import pyarrow.parquet as pq

    from truelift.effects.estimate import estimate_panel

    estimation = estimate_panel(source, options)
    numbers: Numbers = {}
    for e in estimation.result.estimates:
        pair = f" {e.arm}" + (f" against {e.versus}" if e.versus else "")
        cell = f" {e.population}" if e.estimand == "GATE" else ""
        numbers[f"{prefix}{e.estimand}{pair}{cell}"] = [e.estimate, e.standard_error]
    if len(estimation.result.arms) == 2:
        numbers |= _bounds(prefix, source, estimation)
    name = "three" if prefix.startswith("three") else "two"
    pq.write_table(_predictions(source, estimation.scoring), place / f"{name}.parquet")
    return numbers


def _predictions(source, scoring):  # type: ignore[no-untyped-def]
    """The rows with their out-of-fold predictions, in the outcome's units."""
    import pyarrow as pa

    tables = []
    for bucket, table in source.buckets.items():
        batch = table.combine_chunks().to_batches()[0]
        _, units = scoring.units(batch, bucket)
        for a in range(len(units.propensity)):
            regression = (
                scoring.outcomes.centre[0]
                + scoring.outcomes.scale[0] * (units.outcome_regression[a, 0])
            )
            table = table.append_column(f"e{a}", pa.array(units.propensity[a]))
            table = table.append_column(f"m{a}", pa.array(regression))
        fold = pa.repeat(pa.scalar(bucket % scoring.folds), table.num_rows)
        tables.append(table.append_column("fold", fold))
    return pa.concat_tables(tables)


def _bounds(prefix: str, source, estimation) -> Numbers:  # type: ignore[no-untyped-def]
    """Omitted-variable bounds of the ATE and the ATT, as the peers define them.

    They take the arm's share as known in the ATT, and the error of each bound for the other's: a
    scaled score with the sign turned (tests/unit/effects/credibility/test_credibility_omitted_variables.py
    decides by a jackknife). Both are done here as they do them.
    """
    from truelift.arrays.keys import hash_keys
    from truelift.effects.credibility.blocks import CredibilityBlock
    from truelift.effects.credibility.kernel import CredibilityOptions, credibility_state
    from truelift.effects.credibility.omitted_variables import (
        confounding_strength,
        omitted_variable_bounds,
        sensitivity_elements,
    )
    from truelift.effects.credibility.placebo import PlaceboOptions
    from truelift.effects.credibility.target import Target
    from truelift.effects.scores.quantities import clipped
    from truelift.lake.states import add_states

    scoring = estimation.scoring
    kernel = CredibilityOptions(placebo=PlaceboOptions(0), halves=0, random_covariates=0)
    states = []
    for bucket, table in source.buckets.items():
        batch = table.combine_chunks().to_batches()[0]
        _, units = scoring.units(batch, bucket)
        block = CredibilityBlock(
            outcome=units.outcome,
            arm=units.arm,
            propensity=clipped(units.propensity, scoring.clip),
            outcome_regression=units.outcome_regression,
            cluster=scoring.clusters(batch),
            unit=hash_keys(batch.column(batch.schema.get_field_index("unit_id"))),
            fold=bucket % scoring.folds,
        )
        states.append(credibility_state([block], block.fold, kernel))
    state = add_states(states)
    strength = confounding_strength(**STRENGTH)
    numbers: Numbers = {}
    for name in ("ATE", "ATT"):
        target = Target(name, scale=float(scoring.outcomes.scale[0]))
        elements = sensitivity_elements(
            state["total"], state["cross"], int(state["clusters"][0]), kernel.lines, target,
            share_known=True,
        )  # fmt: skip
        bounds = omitted_variable_bounds(elements, **STRENGTH, target=target)
        numbers |= {
            f"{prefix}{name} lower bound": [bounds.lower, elements.bound_error(strength, 1)],
            f"{prefix}{name} upper bound": [bounds.upper, elements.bound_error(strength, -1)],
            f"{prefix}{name} robustness value": [bounds.robustness_value],
        }
    return numbers


# ---------------------------------------------------------------- the peers' side


def doubleml(place: Path) -> dict:
    """DoubleML with external predictions: IRM, APOS, GATE, sensitivity; with and without clusters."""
    import doubleml as dml
    import numpy as np
    import pandas as pd
    from doubleml.utils import DMLDummyClassifier, DMLDummyRegressor

    frame = pd.read_parquet(place / "two.parquet")
    frame = frame.rename(columns={"treated": "d"})
    learners = (DMLDummyRegressor(), DMLDummyClassifier())
    names = [c for c in frame.columns if c.startswith("x_")]
    predictions = {
        "d": {"ml_g0": frame[["m0"]].to_numpy(), "ml_g1": frame[["m1"]].to_numpy(), "ml_m": frame[["e1"]].to_numpy()}
    }  # fmt: skip
    folds = _samples(frame["fold"].to_numpy())
    numbers: Numbers = {}
    for prefix, extra, units in (
        ("", {}, len(frame)),
        ("clustered ", {"cluster_cols": "user_key"}, frame["user_key"].nunique()),
    ):
        factor = np.sqrt(units / (units - 1))
        data = dml.DoubleMLData(frame, y_col="y", d_cols="d", x_cols=names, **extra)
        for score, name in (("ATE", "ATE"), ("ATTE", "ATT")):
            # With clusters DoubleML draws the folds: each has as many clusters as ours have, and
            # with predictions from outside nothing else of them counts.
            np.random.seed(1)
            model = dml.DoubleMLIRM(
                data, *learners, n_folds=5, score=score, draw_sample_splitting=bool(extra)
            )
            if not extra:
                model.set_sample_splitting([folds])
            model.fit(external_predictions=predictions)
            numbers[f"{prefix}{name} 1 against 0"] = [model.coef[0], model.se[0] * factor]
            model.sensitivity_analysis(**STRENGTH, level=0.95)
            found = model.sensitivity_params
            for side in ("lower", "upper"):
                theta, error = found["theta"][side][0], found["se"][side][0]
                numbers[f"{prefix}{name} {side} bound"] = [theta, error * factor]
            numbers[f"{prefix}{name} robustness value"] = [found["rv"][0]]
            if name == "ATE" and not extra:
                groups = pd.get_dummies(frame["group"]).astype(bool)
                table = model.gate(groups).summary
                for group, (value, error) in zip(
                    groups.columns, table[["coef", "std err"]].to_numpy(), strict=True
                ):
                    numbers[f"GATE 1 against 0 group = {group}"] = [value, error * factor]
    numbers |= _apos(frame, (0, 1), "", dml, learners)
    three = pd.read_parquet(place / "three.parquet").rename(columns={"treated": "d"})
    numbers |= _apos(three, (0, 1, 2), "three arms ", dml, learners)
    return {"versions": _versions("doubleml"), **_plain(numbers)}


def _apos(frame, arms, prefix, dml, learners) -> Numbers:  # type: ignore[no-untyped-def]
    import numpy as np

    names = [c for c in frame.columns if c.startswith("x_")]
    data = dml.DoubleMLData(frame, y_col="y", d_cols="d", x_cols=names)
    model = dml.DoubleMLAPOS(data, *learners, treatment_levels=list(arms), n_folds=5, draw_sample_splitting=False)  # fmt: skip
    model.set_sample_splitting([_samples(frame["fold"].to_numpy())])
    outside = {}
    for a in arms:
        # The outcome model of the other arms has no part in the score of an arm's mean.
        own = frame[[f"m{a}"]].to_numpy()
        outside[a] = {"ml_g_d_lvl0": own, "ml_g_d_lvl1": own, "ml_m": frame[[f"e{a}"]].to_numpy()}
    model.fit(external_predictions=outside)
    factor = np.sqrt(len(frame) / (len(frame) - 1))
    numbers: Numbers = {}
    for a, value, error in zip(arms, model.coef, model.se, strict=True):
        numbers[f"{prefix}APO {a}"] = [value, error * factor]
    contrast = model.causal_contrast(reference_levels=0)
    for a, value, error in zip(arms[1:], contrast.thetas, contrast.ses, strict=True):
        if prefix:
            numbers[f"{prefix}ATE {a} against 0"] = [value, error * factor]
    return numbers


def dml_rs(place: Path) -> dict:
    """dml-rs with external predictions: IRM, APO, GATE, sensitivity; with and without clusters."""
    import dml_rs
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(place / "two.parquet")
    x = frame[[c for c in frame.columns if c.startswith("x_")]].to_numpy()
    y, d = frame["y"].to_numpy(), frame["treated"].to_numpy().astype(float)
    learners = (dml_rs.Ols(), dml_rs.LogisticRegression())
    outside = {"ml_g0": frame["m0"], "ml_g1": frame["m1"], "ml_m": frame["e1"]}
    numbers: Numbers = {}
    for prefix, cluster in (("", None), ("clustered ", frame["user_key"].to_numpy())):
        units = len(frame) if cluster is None else len(np.unique(cluster))
        factor = np.sqrt(units / (units - 1))
        for score, name in (("ATE", "ATE"), ("ATTE", "ATT")):
            model = dml_rs.IRM(*learners, n_folds=5, score=score, clipping_threshold=CLIP)
            model.fit(x, y, d, cluster=cluster, external_predictions=_columns(outside))
            numbers[f"{prefix}{name} 1 against 0"] = [model.coef_[0], model.se_[0] * factor]
            model.sensitivity_analysis(**STRENGTH, level=0.95)
            found = model.sensitivity_params_
            for side in ("lower", "upper"):
                theta, error = found["theta"][side][0], found["se"][side][0]
                numbers[f"{prefix}{name} {side} bound"] = [theta, error * factor]
            numbers[f"{prefix}{name} robustness value"] = [found["rv"][0]]
            if name == "ATE" and cluster is None:
                groups = pd.get_dummies(frame["group"]).astype(float)
                table = model.gate(groups.to_numpy()).summary
                for group, (value, error) in zip(
                    groups.columns, table.iloc[:, :2].to_numpy(), strict=True
                ):
                    numbers[f"GATE 1 against 0 group = {group}"] = [value, error * factor]
    three = pd.read_parquet(place / "three.parquet")
    for prefix, table, arms in (("", frame, (0, 1)), ("three arms ", three, (0, 1, 2))):
        x = table[[c for c in table.columns if c.startswith("x_")]].to_numpy()
        factor = np.sqrt(len(table) / (len(table) - 1))
        for a in arms:
            outside = {"ml_g_d_lvl0": table[f"m{a}"], "ml_g_d_lvl1": table[f"m{a}"], "ml_m": table[f"e{a}"]}  # fmt: skip
            model = dml_rs.APO(*learners, treatment_level=a, clipping_threshold=CLIP)
            model.fit(
                x, table["y"].to_numpy(), table["treated"].to_numpy().astype(float),
                external_predictions=_columns(outside),
            )  # fmt: skip
            numbers[f"{prefix}APO {a}"] = [model.coef_[0], model.se_[0] * factor]
    return {"versions": _versions("dml-rs"), **_plain(numbers)}


def _columns(predictions: dict) -> dict:
    return {"d": {name: column.to_numpy()[:, None] for name, column in predictions.items()}}


def statsmodels(place: Path) -> dict:
    """Least squares on the treatment alone, clustered: the difference in means."""
    import numpy as np
    import pandas as pd
    import statsmodels.api as sm

    frame = pd.read_parquet(place / "two.parquet")
    model = sm.OLS(
        frame["y"].to_numpy(), sm.add_constant(frame["treated"].to_numpy().astype(float))
    )
    numbers: Numbers = {}
    for prefix, groups in (("", frame["unit_id"]), ("clustered ", frame["user_key"])):
        spread = {"groups": groups.to_numpy(), "use_correction": False}
        fitted = model.fit(cov_type="cluster", cov_kwds=spread)
        units = groups.nunique()
        factor = np.sqrt(units / (units - 1))
        numbers[f"{prefix}naive difference 1 against 0"] = [
            fitted.params[1],
            fitted.bse[1] * factor,
        ]
    return {"versions": _versions("statsmodels"), **_plain(numbers)}


def econml(place: Path) -> dict:
    """EconML fits models of its own, on folds of its own: near, not equal."""
    import pandas as pd
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LinearRegression, LogisticRegression

    frame = pd.read_parquet(place / "two.parquet")
    x = frame[[c for c in frame.columns if c.startswith("x_")]].to_numpy()
    learner = LinearDRLearner(
        model_propensity=LogisticRegression(C=1e6), model_regression=LinearRegression(), cv=5,
        random_state=1,
    )  # fmt: skip
    learner.fit(frame["y"].to_numpy(), frame["treated"].to_numpy(), X=None, W=x)
    found = learner.ate_inference()
    numbers = {"ATE 1 against 0": [float(found.mean_point), float(found.stderr_mean)]}
    return {"versions": _versions("econml"), **numbers}


def _samples(fold):  # type: ignore[no-untyped-def]
    import numpy as np

    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]


def _plain(numbers: Numbers) -> Numbers:
    return {name: [float(v) for v in values] for name, values in numbers.items()}


def _versions(package: str) -> str:
    from importlib.metadata import version

    return version(package)


PEERS = {"doubleml": doubleml, "dml-rs": dml_rs, "statsmodels": statsmodels, "econml": econml}

if __name__ == "__main__":
    sys.exit(main())
