"""What the sums say of every policy of doses: the bandwidth, intervals without its bias, whether it ships."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special

from truelift.policy.doses.kernel import (
    RESIDUAL,
    REWARD,
    WEIGHT,
    line_of,
    predicted_line,
    present_line,
)
from truelift.policy.doses.results import DoseEstimate, DosesResult, DoseValue
from truelift.policy.doses.spec import DoseSpec
from truelift.policy.off_policy.inference import band_factor, ratios_of
from truelift.policy.off_policy.selection import slope

#: Of a sweep, what is divided by what.
ESTIMATORS = ("kernel IPS", "kernel SNIPS", "kernel DR")
#: How many bandwidths below the one that SLOPE++ chooses the value is taken at: half of it on the rule's grid.
#: SLOPE++ balances bias and variance, and at such a point an interval without the bias is not one.
STEPS_BELOW = 2
_WEAK = 4.0
Terms = list[tuple[int, int]]


def judge(
    spec: DoseSpec, state: Mapping[str, np.ndarray], widths: np.ndarray, table: str, version: int
) -> DosesResult:
    """The sweep, and what decides.

    Parameters
    ----------
    spec : DoseSpec
    state : mapping
        Of :func:`~.kernel.dose_sums`, added up.
    widths : ndarray, B
        Ascending.
    table : str
    version : int
    """
    policies, bands, clusters = len(spec.policies), len(widths), float(state["clusters"][0])
    rows = len(state["total"]) - 1
    reach = float(special.stdtrit(clusters - 1, 0.5 + spec.confidence / 2))
    sweep: list[DoseEstimate] = []
    values: list[DoseValue] = []
    for j, reward in enumerate(spec.rewards):
        present = [(present_line(j, policies, bands), rows)]
        decided: list[tuple[Terms, list[float]]] = []
        drafts = []
        for p, name in enumerate(spec.names):
            terms = _sweep_terms(j, p, policies, bands, rows)
            flat = [t for by_width in terms for t in by_width]
            found, spread = ratios_of(flat, state)
            errors = np.sqrt(np.clip(np.diag(spread), 0.0, None))
            for i, (e, s) in enumerate(zip(found, errors, strict=True)):
                if not np.isfinite(e):
                    continue  # self-normalised, and no dose lies so near
                b, k = divmod(i, len(ESTIMATORS))
                sweep.append(
                    DoseEstimate(
                        name, reward, ESTIMATORS[k], float(widths[b]), float(e), float(s),
                        float(e - reach * s), float(e + reach * s),
                    )
                )  # fmt: skip
            own = np.arange(bands) * len(ESTIMATORS) + 2
            factor = band_factor(
                spread[np.ix_(own, own)], np.full(bands, clusters - 1), spec.confidence, spec.band_draws, spec.seed,
            ) if (errors[own] > 0).all() else reach  # fmt: skip
            chosen = slope(found[own], factor * errors[own])
            at = max(chosen - STEPS_BELOW, 1)
            decided.append(_corrected(terms, at, widths))
            plain = terms[at][2]
            drafts.append((name, p, at, plain))
        values += _values(spec, state, reward, j, decided, drafts, present, widths, reach)
    return DosesResult(
        table=table, table_version=version, rows=round(float(state["total"][-1])), users=round(clusters),
        estimates=tuple(sweep), values=tuple(values), confidence=spec.confidence, margin=spec.margin,
        densities=_densities_in_words(spec),
    )  # fmt: skip


def _densities_in_words(spec: DoseSpec) -> str:
    if spec.density:
        return f"logged in {spec.density!r}"
    return (
        f"estimated from {', '.join(spec.context)} by {spec.density_model}, without each user's own fold; no interval "
        "counts how well they fit, nor what else the log chose by"
    )


def _sweep_terms(
    reward: int, policy: int, policies: int, bands: int, rows: int
) -> list[list[Terms]]:
    """By bandwidth, the ratios of every estimator."""
    found = []
    for b in range(bands):
        weight, rewarded, residual = (
            line_of(reward, policy, b, part, policies, bands) for part in (WEIGHT, REWARD, RESIDUAL)
        )
        predicted = predicted_line(reward, policy, policies, bands)
        found.append(
            [[(rewarded, rows)], [(rewarded, weight)], [(predicted, rows), (residual, rows)]]
        )
    return found


def _corrected(terms: list[list[Terms]], at: int, widths: np.ndarray) -> tuple[Terms, list[float]]:
    """DR at a bandwidth (not the least) without the part of its bias that goes with the square of it."""
    (predicted, here), (_, before) = terms[at][2], terms[at - 1][2]
    small, large = widths[at - 1] ** 2, widths[at] ** 2
    return [predicted, before, here], [1.0, large / (large - small), -small / (large - small)]


def _values(
    spec: DoseSpec, state: Mapping[str, np.ndarray], reward: str, j: int,
    decided: list[tuple[Terms, list[float]]], drafts: list[tuple[str, int, int, Terms]],
    present: Terms, widths: np.ndarray, reach: float,
) -> list[DoseValue]:  # fmt: skip
    policies, bands = len(spec.policies), len(widths)
    terms = [*(t for t, _ in decided), present, *(d[3] for d in drafts)]
    shares = [*(s for _, s in decided), [1.0], *([1.0] * len(d[3]) for d in drafts)]
    found, spread = ratios_of(terms, state, shares)
    count = len(decided)
    contrast = np.zeros((count, len(found)))
    contrast[:, :count] = np.eye(count)
    contrast[:, count] = -1.0
    gaps, joint = contrast @ found, contrast @ spread @ contrast.T
    errors = np.sqrt(np.clip(np.diag(joint), 0.0, None))
    clusters = float(state["clusters"][0])
    known = np.flatnonzero(errors > 0)
    factor = (
        band_factor(joint[np.ix_(known, known)], np.full(len(known), clusters - 1), max(2 * spec.confidence - 1, 0.01), spec.band_draws, spec.seed)
        if len(known) else 0.0
    )  # fmt: skip
    made = []
    for i, (name, p, chosen, _) in enumerate(drafts):
        value, error = float(found[i]), float(np.sqrt(max(spread[i, i], 0.0)))
        bias = np.zeros(len(found))
        bias[count + 1 + i], bias[i] = 1.0, -1.0
        verdict, reason = _support(spec, state, j, p, chosen, policies, bands)
        bound = float(gaps[i] - factor * errors[i])
        ships = verdict == "supported" and bound > spec.margin
        said = (
            f"its lower bound against the present policy ({bound:+.4g}, for all policies together)"
        )
        made.append(
            DoseValue(
                name, reward, float(widths[chosen]), value, error, value - reach * error,
                value + reach * error, float(bias @ found), float(np.sqrt(max(bias @ spread @ bias, 0.0))),
                float(gaps[i]), float(errors[i]), bound, _effective(state, p, chosen, j, policies, bands),
                verdict, reason, ships,
                f"{said} {'exceeds' if bound > spec.margin else 'does not exceed'} the margin of {spec.margin:g}"
                if verdict == "supported" else f"the log does not support it: {reason}",
                float(found[count]),
            )
        )  # fmt: skip
    return made


def _effective(
    state: Mapping[str, np.ndarray], policy: int, width: int, reward: int, policies: int, bands: int
) -> float:
    total = float(state["total"][line_of(reward, policy, width, WEIGHT, policies, bands)])
    return total**2 / max(float(state["squares"][policy, width]), 1e-300)


def _support(
    spec: DoseSpec, state: Mapping[str, np.ndarray], reward: int, policy: int, width: int, policies: int,
    bands: int,
) -> tuple[str, str]:  # fmt: skip
    rows = len(state["total"]) - 1
    line = line_of(reward, policy, width, WEIGHT, policies, bands)
    (mean,), spread = ratios_of([[(line, rows)]], state)
    missing, error = 1.0 - float(mean), float(np.sqrt(max(spread[0, 0], 0.0)))
    effective = _effective(state, policy, width, reward, policies, bands)
    if mean == 0:
        return (
            "not supported",
            "cannot be evaluated: no logged dose lies near one that the policy gives",
        )
    if missing - 2 * error > spec.missing_mass:
        return "not supported", (
            f"weights average {mean:.3f} and not 1: the log has few doses near {missing:.1%} of the policy's, or the "
            "densities are wrong"
        )
    if effective < spec.effective_rows:
        return "not supported", (
            f"the weighted rows are worth {effective:,.0f} rows, fewer than {spec.effective_rows:,.0f}"
        )
    if abs(missing) > max(spec.missing_mass, _WEAK * error):
        return "weak", (
            f"weights average {mean:.3f} ± {error:.3f} and not 1: the densities are not those of the log"
        )
    return "supported", f"weights average {mean:.3f} ± {error:.3f}, worth {effective:,.0f} rows"
