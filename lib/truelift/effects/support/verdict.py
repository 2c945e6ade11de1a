"""Whether the data support an effect: thresholds, and a verdict on each estimand.

A difference of a covariate between the weighted arms counts only where it is more than chance makes of
so few units: what chance alone left is in the standard errors. A real one is not, and the estimate
then hangs on the outcome models. The log odds of treatment and the covariates' squares are compared
too: in the first many small differences add up, and where the propensity bends and its model is
straight, means balance and spreads do not.

The estimands ask different things of the data. The ATE needs both arms everywhere. The ATT
needs controls that are like the treated, and no treated units like those who were never
treated: a treatment that skips most users can support the one and not the other. The ATO asks for
little, for it weighs units by their overlap: it is what is left where the others are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from scipy import special

from truelift.effects.support.summaries import CovariateBalance, OverlapSummary
from truelift.effects.support.supported import Support

#: Largest share of units (ATT: of treated units) whose propensity may be clipped.
MAX_CLIPPED_SHARE = 0.05
#: Smallest effective sample size of an arm, as a share of its units (ATT: of the controls, as a
#: share of the treated units that they stand in for, or of themselves if they are fewer).
MIN_EFFECTIVE_SHARE = 0.10
#: Largest standardised mean difference after weighting: above the first the estimate leans on
#: the outcome models alone (Rubin 2001), above the second it is mentioned (Austin 2009).
MAX_SMD = 0.25
NOTED_SMD = 0.10
#: Chance of calling one of all covariates unbalanced where only chance made them so.
BALANCE_LEVEL = 0.01

#: The name of the direction in which the arms differ most.
LOG_ODDS = "the log odds of treatment"


def support(
    overlaps: Mapping[str, OverlapSummary], units: Mapping[str, int], converged: bool,
    by_lot: bool = False,
) -> tuple[Support, ...]:  # fmt: skip
    """The verdict on each estimand of each arm, which is named where there are several.

    Parameters
    ----------
    overlaps : mapping of str to OverlapSummary
        By arm after the control.
    units : mapping of str to int
        Units by arm, the control first.
    converged : bool
        Whether the propensity model met its tolerance.
    by_lot : bool
        Whether every unit has the same known chances. The ATT is then the ATE of other units, and is
        judged by the balance of all units: that of the treated alone is chance.

    Returns
    -------
    tuple of Support
        Arm by arm, with every reason.
    """
    control, *_ = units.values()
    return tuple(
        judged
        for arm, overlap in overlaps.items()
        for judged in _of_arm(
            overlap, arm if len(overlaps) > 1 else "", units[arm], control, converged, by_lot
        )
    )


def _of_arm(
    overlap: OverlapSummary, arm: str, treated: int, control: int, converged: bool, by_lot: bool
) -> tuple[Support, ...]:
    ate = _not_converged(converged)
    ate += _clipped(overlap.clipped_share, "the propensities")
    ate += _thin("treated", overlap.effective_sample_size_treated, treated)
    ate += _thin("control", overlap.effective_sample_size_control, control)
    att = _not_converged(converged)
    att += _clipped(overlap.treated_clipped_share, "the treated units' propensities")
    if overlap.effective_sample_size_control_att is not None:
        needed = min(treated, control)
        att += _thin("control", overlap.effective_sample_size_control_att, needed)

    def of_all(b: CovariateBalance) -> tuple[float, float]:
        return b.smd_after, b.error_after

    def of_treated(b: CovariateBalance) -> tuple[float, float]:
        return b.smd_after_att or 0.0, b.error_after_att

    return (
        _judge(Support("ATE", arm, not ate), ate, overlap, of_all),
        _judge(Support("ATT", arm, not att), att, overlap, of_all if by_lot else of_treated),
        _judge(Support("ATO", arm, converged), _not_converged(converged), overlap, lambda b: (0.0, 0.0)),
    )  # fmt: skip


def _judge(
    judged: Support,
    reasons: list[str],
    overlap: OverlapSummary,
    left: Callable[[CovariateBalance], tuple[float, float]],
) -> Support:
    squares = {b.covariate for b in overlap.balance_of_squares}
    index = [overlap.balance_of_index] if overlap.balance_of_index is not None else []
    rows = [*overlap.balance, *overlap.balance_of_squares]
    # The log odds are one direction, looked at before all others. Below zero they are what a model of
    # noise leaves in a randomised table; above it the treated still have the higher ones.
    found = [(b.covariate, max(left(b)[0], 0.0), left(b)[1]) for b in index]
    found += [(b.covariate, abs(left(b)[0]), left(b)[1]) for b in rows]
    critical = [critical_difference(1)] * len(index) + [critical_difference(len(rows))] * len(rows)
    beyond_chance = [
        row for row, times in zip(found, critical, strict=True) if row[1] > times * row[2]
    ]
    name, size, error = max(beyond_chance, key=lambda row: row[1], default=("", 0.0, 0.0))
    if size > MAX_SMD:
        told = f", {_size(size / error, 100)} standard errors" if error > 0 else ""
        bends = ": the propensity bends in it and the model does not" if name in squares else ""
        reasons.append(
            f"{name} {_verb(name)} by {_size(size, 10, 2)} standard deviations after weighting{told} "
            f"(at most {MAX_SMD} allowed){bends}"
        )
    if reasons:
        return replace(judged, supported=False, reasons=(f"{'; '.join(reasons)}.",))
    if size > NOTED_SMD:
        noted = f"{name} still {_verb(name)} by {size:.2f} standard deviations after weighting."
        return replace(judged, reasons=(noted,), careful=True)
    by_chance = [row for row in found[len(index) :] if row[0] not in squares]
    name, size, error = max(by_chance, key=lambda row: row[1], default=("", 0.0, 0.0))
    if size > MAX_SMD:
        noted = (
            f"{name} differs by {size:.2f} standard deviations after "
            f"weighting, no more than chance makes of so few units (standard error {error:.2f})."
        )
        return replace(judged, reasons=(noted,), careful=True)
    return replace(judged, reasons=("the arms overlap, and weighting balances the covariates.",))


def _size(value: float, most: int, places: int = 1) -> str:
    """A number that is read, not calculated with: where an arm has no spread it may be anything."""
    return f"{value:.{places}f}" if value <= most else f"more than {most}"


def _verb(name: str) -> str:
    return "differ" if name == LOG_ODDS else "differs"


def critical_difference(covariates: int) -> float:
    """Standard errors beyond which the largest of several differences is no chance (Bonferroni)."""
    return float(special.ndtri(1.0 - BALANCE_LEVEL / (2.0 * max(covariates, 1))))


def _not_converged(converged: bool) -> list[str]:
    text = "the propensity model did not converge, as happens when covariates tell the arms apart"
    return [] if converged else [text]


def _clipped(share: float, of: str) -> list[str]:
    if share <= MAX_CLIPPED_SHARE:
        return []
    return [f"{share:.1%} of {of} are clipped (at most {MAX_CLIPPED_SHARE:.0%} allowed)"]


def _thin(arm: str, size: float, units: int) -> list[str]:
    if size >= MIN_EFFECTIVE_SHARE * units:
        return []
    return [
        f"the weighted {arm} arm is worth {size:,.0f} units (at least "
        f"{MIN_EFFECTIVE_SHARE * units:,.0f} needed)"
    ]
