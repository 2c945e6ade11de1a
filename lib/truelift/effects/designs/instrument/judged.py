"""Whether instruments support an effect, and what is to be kept in mind."""

from __future__ import annotations

from collections.abc import Sequence

from truelift.effects.designs.instrument.results import InstrumentCheck
from truelift.effects.designs.instrument.scored import ScoredInstruments
from truelift.effects.results import Caution
from truelift.effects.support.supported import Support
from truelift.effects.telling.figures import p_text
from truelift.settings import EffectOptions


def judged(
    checks: Sequence[InstrumentCheck], scored: ScoredInstruments | None, clusters: int,
    options: EffectOptions,
) -> Support:  # fmt: skip
    """The effect is supported where the data rule some effects out, at whatever strength."""
    reasons = [] if scored is None else scored.reasons()
    open_ended = [c for c in checks if not c.anderson_rubin.bounded]
    if len(open_ended) == len(checks):
        first = open_ended[0]
        reasons.append(
            f"The instruments move {first.treatment} too little: the set of effects on {first.outcome} that "
            f"Anderson and Rubin's test does not reject is {first.anderson_rubin.words()}."
        )
    if reasons:
        return Support("LATE", "", False, tuple(reasons))
    if careful := _careful(checks, clusters, options):
        return Support("LATE", "", True, tuple(careful), careful=True)
    told = "The instruments move the treatment enough; nothing in the data says that they act through it alone."
    return Support("LATE", "", True, (told,))


def _careful(checks: Sequence[InstrumentCheck], clusters: int, options: EffectOptions) -> list[str]:
    found = []
    if weak := [c for c in checks if c.weak]:
        found.append(
            f"The instruments are weak (effective F {weak[0].effective_f:.1f}): read the set of Anderson and "
            "Rubin, not the intervals."
        )
    if apart := [c for c in checks if c.contradicted and not c.anderson_rubin.empty]:
        p = p_text(float(apart[0].overidentification or 0.0))
        found.append(f"The instruments contradict each other on {apart[0].outcome} (J, {p}).")
    if clusters < options.support.min_clusters_per_arm:
        found.append(
            f"There are {clusters:,} clusters ({options.cluster!r}), fewer than "
            f"{options.support.min_clusters_per_arm}: standard errors may be too small."
        )
    return found


def instrument_cautions(
    checks: Sequence[InstrumentCheck], scored: ScoredInstruments | None, options: EffectOptions
) -> list[Caution]:
    """What the instruments' own estimations found, and instruments that contradict each other.

    Where no effect fits them all, none on that outcome is supported.
    """
    found = [] if scored is None else scored.cautions(options.treatment)
    found += [
        Caution(
            f"The instruments contradict each other on {check.outcome} ({check.basis})"
            f"{': no effect fits them all, so' if check.anderson_rubin.empty else ':'} at least one of "
            "them acts on it by another way, or they move people whose effects differ.",
            stops=check.anderson_rubin.empty,
            outcomes=(check.outcome,),
        )
        for check in checks
        if check.anderson_rubin.empty or check.contradicted
    ]
    return list(dict.fromkeys(found))
