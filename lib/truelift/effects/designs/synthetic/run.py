"""The design ``synthetic`` from a panel to its result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from truelift.effects.designs.results import Named, designed, family
from truelift.effects.designs.synthetic.panel import SmallPanel, small_panel
from truelift.effects.designs.synthetic.results import SyntheticCheck
from truelift.effects.panel.arms import label_of
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import Caution, EffectsResult, Estimate
from truelift.effects.support.supported import Support
from truelift.errors import DataError
from truelift.inference.synthetic import (
    Cohort,
    Placebos,
    effect_of,
    placebo_in_time,
    placebos,
    without_the_last,
)
from truelift.progress import Tell
from truelift.settings import EffectOptions

#: By estimand, the method of :mod:`truelift.inference.synthetic`, and what it is called.
METHODS = {
    "synthetic DiD": ("SDID", "synthetic difference-in-differences"),
    "synthetic control": ("synthetic control", "synthetic control"),
}
#: Placebos where several units are treated: so many sets of donors.
DRAWS = 200
_WEIGHTY = 0.005


def synthetic_effects(source: PanelSource, options: EffectOptions, progress: Tell) -> EffectsResult:
    """Effects on few treated units, each beside a mix of units that are never treated.

    Parameters
    ----------
    source : PanelSource
        The rows that count: one a unit and period.
    options : EffectOptions
        As for ``design: did``.
    progress : callable

    Raises
    ------
    DataError
        For panels with holes, nobody treated, or too few units that are never treated.
    """
    panel = small_panel(source, options)
    # A mix is fitted to two periods or more.
    least = 1 + options.differences.anticipation
    treated = np.flatnonzero((panel.begins > least) & (panel.begins < len(panel.periods)))
    never = np.flatnonzero(panel.begins == len(panel.periods))
    early = int(np.sum(panel.begins <= least))
    _refuse(panel, treated, never, options, source.name)
    estimates: list[Estimate] = []
    checks: list[SyntheticCheck] = []
    level = options.inference.confidence
    needed = int(np.ceil(1.0 / (1.0 - level) - 1e-9)) - 1
    support: list[Support] = []
    for name, (method, words) in METHODS.items():
        if options.design_estimands and name not in options.design_estimands:
            continue
        reasons: list[str] = []
        for j, outcome in enumerate(options.outcomes):
            progress(f"{words} of {outcome}, and placebos")
            found, made = _one(panel, treated, never, j, (name, method, words), options)
            estimates.append(found)
            checks.append(made)
            reasons += made.reasons(needed, 1.0 - level)
        said = "Placebos in time and among units hold their level here."
        support.append(Support(name, "", not reasons, tuple(dict.fromkeys(reasons)) or (said,)))
    cautions = [
        Caution(
            f"Errors come of {len(never):,} units that are treated in name alone: they hold where the treated were not chosen "
            "for what their outcome was, and vary as the others do."
        )
    ]
    if early:
        cautions.append(
            Caution(
                f"{early:,} unit(s) are treated in the first {least + 1} periods. With less than two periods before to fit a mix "
                "to, they are left out."
            )
        )
    return designed(
        source, options, estimates, support, "synthetic", "", synthetic=tuple(checks),
        cautions=tuple(cautions),
    )  # fmt: skip


def _refuse(
    panel: SmallPanel, treated: np.ndarray, never: np.ndarray, options: EffectOptions, table: str
) -> None:
    if not len(treated):
        raise DataError(
            f"{table}: no unit's treatment begins after the second of {len(panel.periods)} periods. Expected in "
            f"{options.treatment!r} (effects.treatment) the period in which it begins, and null where it never does."
        )
    if len(never) < 2 * len(treated) or len(never) < 2:
        raise DataError(
            f"{table}: {len(treated):,} treated units and {len(never):,} that never are; expected at least twice as many, and "
            "2, for placebos take their place. Where many are treated, take `design: did`."
        )


def _one(
    panel: SmallPanel, treated: np.ndarray, never: np.ndarray, j: int, named: tuple[str, str, str],
    options: EffectOptions,
) -> tuple[Estimate, SyntheticCheck]:  # fmt: skip
    name, method, words = named
    outcome, level = options.outcomes[j], options.inference.confidence
    donors = panel.outcomes[j, never]
    starts = np.unique(panel.begins[treated]).tolist()
    members = [treated[panel.begins[treated] == start] for start in starts]
    cohorts = [
        Cohort(start, panel.outcomes[j, mine], options.differences.anticipation)
        for start, mine in zip(starts, members, strict=True)
    ]
    effect, gap, mixes = effect_of(donors, cohorts, method)
    drawn = placebos(donors, cohorts, method, DRAWS, options.seed)
    shown = int(np.argmax([cohort.weight for cohort in cohorts]))
    ahead = placebo_in_time(donors, cohorts, method, DRAWS, options.seed)
    weights = mixes[shown].donors
    order = [i for i in np.argsort(-weights, kind="stable").tolist() if weights[i] >= _WEIGHTY]
    check = SyntheticCheck(
        outcome=outcome,
        method=words,
        treated=tuple(panel.units[i] for i in treated.tolist()),
        donors=tuple(panel.units[never[i]] for i in order),
        weights=tuple(float(weights[i]) for i in order),
        gap=gap,
        fit_p_value=drawn.fit_p_value(gap),
        placebos=len(drawn.effects),
        p_value=drawn.p_value(effect),
        without_last=without_the_last(donors, cohorts, method, DRAWS, options.seed),
        ahead=None if ahead is None else ahead.effect,
        ahead_p_value=None if ahead is None else ahead.p_value,
        periods=tuple(label_of(period) for period in panel.periods.tolist()),
        treated_path=tuple(cohorts[shown].outcomes.mean(axis=0).tolist()),
        mixed_path=tuple(mixes[shown].path.tolist()),
        begins=starts[shown],
    )
    how = f"{words}, {len(treated):,} treated and {len(never):,} donors"
    described = Named(name, outcome, "", "the treated", how)
    return _estimate(described, effect, drawn, options, len(panel.units), level), check


def _estimate(
    named: Named, effect: float, drawn: Placebos, options: EffectOptions, units: int, level: float
) -> Estimate:
    """The effect with an interval and a p-value of placebos, in place of Student's."""
    error = float(np.sqrt(np.mean(drawn.effects**2)))
    (made,) = family([named], np.array([effect]), np.array([[error**2]]), options, units, units)
    half = drawn.half_width(level)
    p_value = drawn.p_value(effect)
    return replace(
        made,
        ci_lower=effect - half,
        ci_upper=effect + half,
        p_value=p_value,
        adjusted_p_value=None if made.adjusted_p_value is None else p_value,
        bound=None,
        method=f"{named.method}; interval and p-value by {len(drawn.effects):,} placebos",
        degrees_of_freedom=None,
    )
