"""An evaluation of policies in words, with the whole sweep of estimates beside it."""

from __future__ import annotations

from truelift.policy.off_policy.distribution import PRESENT, QUANTILE
from truelift.policy.off_policy.results import (
    DistributionEstimate,
    PoliciesResult,
    PolicyEstimate,
)
from truelift.policy.off_policy.support import UNSUPPORTED


def told(result: PoliciesResult) -> str:
    """Sentences on every policy, then its estimates as a table."""
    lines = [
        f"{result.rows:,} rows of {result.users:,} users in {result.table}, {result.actions:,} actions; "
        f"propensities: {result.propensities}."
    ]
    if result.groups:
        lines.append(f"Actions are in {result.groups}.")
    for present in result.present:
        lines.append(
            f"The policy that wrote the log earned {present.estimate:.5g} {present.reward} a row "
            f"[{present.ci_lower:.5g}, {present.ci_upper:.5g}]."
        )
        lines += _distribution(result, PRESENT, present.reward)
        for support in result.support:
            lines += ["", *_policy(result, support.policy, present.reward)]
        lines.append("")
    return "\n".join(lines).rstrip()


def judged(result: PoliciesResult, policy: str, reward: str) -> str:
    """A policy in a sentence or two."""
    support = result.verdict(policy)
    if support.verdict == UNSUPPORTED:
        return f"{policy}: not supported by the log: {support.reason}."
    value = result.value(policy, reward)
    if value is None:
        return f"{policy}: no estimate could be made."
    doubt = f" Only weakly supported: {support.reason}." if support.verdict != "supported" else ""
    return (
        f"{policy} earns {value.value:.5g} {reward} a row [{value.value_lower:.5g}, "
        f"{value.value_upper:.5g}] by {value.estimator}; {value.difference:+.5g} against the present "
        f"policy [{value.ci_lower:+.5g}, {value.ci_upper:+.5g}]. "
        f"{'Ships' if value.ships else 'Does not ship'}: {value.reason}.{doubt}"
    )


def _policy(result: PoliciesResult, policy: str, reward: str) -> list[str]:
    support = result.verdict(policy)
    lines = [
        judged(result, policy, reward),
        f"  support: {support.verdict} ({support.reason}); {support.rows_used:,.0f} rows count, the "
        f"largest weight {support.largest_weight:.4g} ({support.largest_share:.1%} of all), tail index "
        f"{support.tail_index:.2f}, mass that the log lacks {support.missing_mass:.1%} ± "
        f"{support.missing_mass_error:.1%}, never logged {support.never_logged:.1%}",
    ]
    lines += [f"  {plan}" for plan in result.plans if plan.policy == policy]
    value = result.value(policy, reward)
    if value is not None and value.bernstein_lower is not None:
        lines.append(
            f"  at least {value.bernstein_lower:.5g} whatever the distribution (Bernstein)"
        )
    if value is not None and value.anytime_lower is not None:
        lines.append(
            f"  against the present policy at least {value.band_lower:+.4g} for all policies together, "
            f"{value.anytime_lower:+.4g} at every look"
        )
    lines += _loggers(result, policy, reward)
    own = [e for e in result.estimates if (e.policy, e.reward) == (policy, reward)]
    for name in dict.fromkeys(e.estimator for e in own):
        lines += _estimator([e for e in own if e.estimator == name])
    lines += _distribution(result, policy, reward)
    lines += _lists(result, policy, reward)
    chosen = result.selected(policy, reward)
    if chosen is not None:
        lines.append(
            f"  * by the rule {result.select!r}; a shrunk estimate's interval has no bias in it"
        )
    return lines


def _distribution(result: PoliciesResult, policy: str, reward: str) -> list[str]:
    """Quantiles of the rewards, and the means of the lowest."""
    own = [e for e in result.distribution if (e.policy, e.reward) == (policy, reward)]
    return [f"  {distribution_in_words(e)}" for e in own]


def distribution_in_words(e: DistributionEstimate) -> str:
    """A quantile, or the mean of the lowest rewards, with its interval."""
    name = (
        f"quantile {e.share:g}" if e.quantity == QUANTILE else f"mean of the lowest {e.share:.0%}"
    )
    said = f"{name}: {e.estimate:.5g} {_between(e.ci_lower, e.ci_upper)}"
    if e.difference is not None:
        gap = _between(e.difference_lower, e.difference_upper)
        said += f", {e.difference:+.4g} against the present policy {gap}"
    return said


def _between(lower: float | None, upper: float | None) -> str:
    ends = ["no bound" if end is None else f"{end:.5g}" for end in (lower, upper)]
    return f"[{ends[0]}, {ends[1]}]"


def _loggers(result: PoliciesResult, policy: str, reward: str) -> list[str]:
    """What each of several loggers says alone."""
    own = [s for s in result.loggers if (s.policy, s.reward) == (policy, reward)]
    if not own:
        return []
    said = "  ".join(
        f"{s.logger}: {s.estimate:.4g} ±{s.standard_error:.2g} counts {s.share:.0%}"
        if s.share
        else f"{s.logger}: counts nothing"
        for s in own
    )
    return [f"  each logger alone ({own[0].estimator}): {said}"]


def _lists(result: PoliciesResult, policy: str, reward: str) -> list[str]:
    """Values of whole lists, by what is assumed of a slot's reward."""
    own = [e for e in result.lists if (e.policy, e.reward) == (policy, reward)]
    if not own:
        return []
    worth = result.list_worth[[s.policy for s in result.support].index(policy)]
    lines = [f"  a whole list (the weights of whole lists are worth {worth:,.0f} lists):"]
    return lines + [
        f"    {e.estimator:<22} {e.estimate:>11.5g} ±{e.standard_error:<9.3g} [{e.ci_lower:.5g}, "
        f"{e.ci_upper:.5g}], {e.difference:+.4g} against the log's [{e.difference_lower:+.4g}, "
        f"{e.difference_upper:+.4g}]"
        for e in own
    ]


def _estimator(sweep: list[PolicyEstimate]) -> list[str]:
    """The best of an estimator's tuning values, then all of them."""
    by_splits = all(e.pseudo_error is not None for e in sweep)
    best = min(
        sweep,
        key=lambda e: (not e.selected, e.pseudo_error if by_splits else e.mean_squared_error),
    )
    tuning = "" if best.tuning is None else f"{best.tuning:g}"
    mark = "*" if best.selected else " "
    lines = [
        f"  {mark} {best.estimator:<16}{tuning:>6} {best.estimate:>11.5g} ±{best.standard_error:<9.3g} "
        f"[{best.ci_lower:.5g}, {best.ci_upper:.5g}]{_missed(best)}"
    ]
    if len(sweep) > 1:
        told = (f"{e.tuning:g}: {e.estimate:.4g}{_missed(e)}" for e in sweep)
        lines.append("      " + "  ".join(told))
    return lines


def _missed(e: PolicyEstimate) -> str:
    """How far an estimate was off on splits of the log."""
    return "" if e.pseudo_error is None else f" (off by {e.pseudo_error**0.5:.2g} on splits)"
