"""Whether the data support an effect: thresholds, and a verdict on each estimand.

The estimands ask different things of the data. The ATE needs both arms everywhere. The ATT
needs controls that are like the treated, and no treated units like those who were never
treated: a campaign that skips most users can support the one and not the other. The ATO asks for
little, for it weighs units by their overlap: it is what is left where the others are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from truelift.effects.results import CovariateBalance, OverlapSummary

#: Largest share of units (ATT: of treated units) whose propensity may be clipped.
MAX_CLIPPED_SHARE = 0.05
#: Smallest effective sample size of an arm, as a share of its units (ATT: of the controls, as a
#: share of the treated units that they stand in for, or of themselves if they are fewer).
MIN_EFFECTIVE_SHARE = 0.10
#: Largest standardised mean difference after weighting: above the first the estimate leans on
#: the outcome models alone (Rubin 2001), above the second it is mentioned (Austin 2009).
MAX_SMD = 0.25
NOTED_SMD = 0.10

#: How a verdict begins where the data do not support an effect.
NOT_SUPPORTED = "not supported by the data"


def support(
    overlaps: Mapping[str, OverlapSummary], units: Mapping[str, int], converged: bool
) -> dict[str, str]:
    """The verdict on each estimand, and with several arms on each of them.

    Parameters
    ----------
    overlaps : mapping of str to OverlapSummary
        By arm after the control.
    units : mapping of str to int
        Units by arm, the control first.
    converged : bool
        Whether the propensity model met its tolerance.

    Returns
    -------
    dict of str to str
        ``'supported ...'`` or ``'not supported by the data: ...'`` with every reason.
    """
    control, *_ = units.values()
    found = {}
    for arm, overlap in overlaps.items():
        of_arm = f" of {arm}" if len(overlaps) > 1 else ""
        for name, text in _of_arm(overlap, units[arm], control, converged).items():
            found[f"{name}{of_arm}"] = text
    return found


def _of_arm(overlap: OverlapSummary, treated: int, control: int, converged: bool) -> dict[str, str]:
    ate = _not_converged(converged)
    ate += _clipped(overlap.clipped_share, "the propensities")
    ate += _thin("treated", overlap.effective_sample_size_treated, treated)
    ate += _thin("control", overlap.effective_sample_size_control, control)
    att = _not_converged(converged)
    att += _clipped(overlap.treated_clipped_share, "the treated units' propensities")
    if overlap.effective_sample_size_control_att is not None:
        needed = min(treated, control)
        att += _thin("control", overlap.effective_sample_size_control_att, needed)
    return {
        "ATE": _judge(ate, overlap, lambda b: b.smd_after),
        "ATT": _judge(att, overlap, lambda b: b.smd_after_att or 0.0),
        "ATO": _judge(_not_converged(converged), overlap, lambda b: 0.0),
    }


def verdict(found: dict[str, str]) -> str:
    """One sentence on the ATE and the ATT; begins with ``'supported'`` if the ATT is.

    Parameters
    ----------
    found : dict of str to str
        From :func:`support`.
    """
    asked = {name: text for name, text in found.items() if not name.startswith("ATO")}
    if len(set(asked.values())) == 1:
        return next(iter(asked.values()))
    good = [name for name, text in asked.items() if text.startswith("supported")]
    if not good:
        reasons = " ".join(f"{n}: {t.removeprefix(NOT_SUPPORTED + ': ')}" for n, t in asked.items())
        return f"{NOT_SUPPORTED}. {reasons}"
    if len(good) == len(asked):
        return max(asked.values(), key=lambda text: "with care" in text)
    bad = [name for name in asked if name not in good]
    because = asked[bad[0]].removeprefix(NOT_SUPPORTED + ": ")
    if len(asked) > 2:
        return f"supported for {', '.join(good)}. Not so {', '.join(bad)}; {bad[0]}: {because}"
    if bad == ["ATT"]:
        return f"{NOT_SUPPORTED} for the ATT: {because} The ATE alone is supported."
    return f"supported for the ATT only. The ATE is {NOT_SUPPORTED}: {because}"


def _judge(
    reasons: list[str], overlap: OverlapSummary, smd: Callable[[CovariateBalance], float]
) -> str:
    worst = max(overlap.balance, key=lambda b: abs(smd(b)), default=None)
    left = abs(smd(worst)) if worst is not None else 0.0
    if worst is not None and left > MAX_SMD:
        reasons.append(
            f"{worst.covariate} differs by {left:.2f} standard deviations after weighting "
            f"(at most {MAX_SMD} allowed)"
        )
    if reasons:
        return f"{NOT_SUPPORTED}: {'; '.join(reasons)}."
    if worst is not None and left > NOTED_SMD:
        return (
            f"supported, with care: {worst.covariate} still differs by {left:.2f} standard "
            "deviations after weighting."
        )
    return "supported: the arms overlap, and weighting balances the covariates."


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
