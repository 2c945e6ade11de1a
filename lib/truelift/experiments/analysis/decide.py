"""The rule that was fixed in advance, applied: ship, hold or stop, and why."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.effects.telling.figures import p_text
from truelift.experiments.analysis.results import (
    HOLD,
    SHIP,
    STOP,
    GuardrailCheck,
    MetricEffect,
)
from truelift.experiments.spec import ExperimentSpec


@dataclass(frozen=True)
class Decision:
    """What follows.

    Parameters
    ----------
    decision : str
    arm : str
    reasons : tuple of str
        The one that decided first.
    """

    decision: str
    arm: str
    reasons: tuple[str, ...]


def decide(
    spec: ExperimentSpec,
    effects: tuple[MetricEffect, ...],
    guardrails: tuple[GuardrailCheck, ...],
    sample_ratio_p_value: float,
    units: int,
    final: bool,
    unlike_before: str = "",
) -> Decision:
    """Apply the rule.

    Ship: the assignment is sound, there are enough units, an arm's interval on the primary metric lies
    above ``ship_above`` and each of its guardrails is kept. Stop: every arm is shown to lose or to
    harm a guardrail, or the end is reached without an answer and the rule says so. Hold otherwise.

    Parameters
    ----------
    spec : ExperimentSpec
    effects : tuple of MetricEffect
        One an arm, of the primary metric: those that decide.
    guardrails : tuple of GuardrailCheck
    sample_ratio_p_value : float
    units : int
    final : bool
        Whether the planned end is reached.
    unlike_before : str
        In what the arms differed before the assignment, where they did by more than lots do.
    """
    rule = spec.decision
    leading = max(effects, key=lambda e: e.gain[0])
    if sample_ratio_p_value < rule.sample_ratio_level:
        return Decision(HOLD, leading.arm, (
            "The arms do not have the sizes that were promised "
            f"({p_text(sample_ratio_p_value)}): find out why before any figure is believed.",
        ))  # fmt: skip
    if unlike_before:
        said = f"Nothing is concluded: {unlike_before} Find out before any figure is believed."
        return Decision(HOLD, leading.arm, (said,))
    if units < rule.least_units:
        return Decision(HOLD, leading.arm, (
            f"There are {units:,} units, fewer than the {rule.least_units:,} that the rule asks for.",
        ))  # fmt: skip
    of_arm = {e.arm: [g for g in guardrails if g.arm == e.arm] for e in effects}
    if spec.looks.method == "none" and not final:
        return Decision(HOLD, leading.arm, (
            "The planned end is not reached, and the rule allows one look (looks.method none).",
        ))  # fmt: skip
    winners = [
        e
        for e in effects
        if e.gain[1] > rule.ship_above and all(g.state == "kept" for g in of_arm[e.arm])
    ]
    if winners:
        best = max(winners, key=lambda e: e.gain[0])
        kept = ", and every guardrail is kept" if of_arm[best.arm] else ""
        said = (
            f"{best.arm} gains at least {best.gain[1]:.4g} on {best.metric}, above the "
            f"{rule.ship_above:g} of the rule{kept}."
        )
        return Decision(SHIP, best.arm, (said,))
    lost = {e.arm: _loses(e, of_arm[e.arm]) for e in effects}
    if all(lost.values()):
        return Decision(STOP, leading.arm, tuple(lost.values()))
    why = [_open(e, of_arm[e.arm], rule.ship_above) for e in effects if not lost[e.arm]]
    why += [text for text in lost.values() if text]
    if final:
        said = (
            "The planned end is reached without an answer; the rule then says "
            f"{rule.at_end} (decision.at_end)."
        )
        return Decision(rule.at_end, leading.arm, (said, *why))
    return Decision(HOLD, leading.arm, (f"Not decided yet, go on: {why[0]}", *why[1:]))


def _loses(effect: MetricEffect, guardrails: list[GuardrailCheck]) -> str:
    harmed = [g.metric for g in guardrails if g.state == "harmed"]
    if harmed:
        return f"{effect.arm} harms {', '.join(harmed)} by more than its margin."
    if effect.gain[2] < 0:
        return f"{effect.arm} is shown to lose on {effect.metric}: at best {effect.gain[2]:.4g}."
    return ""


def _open(effect: MetricEffect, guardrails: list[GuardrailCheck], ship_above: float) -> str:
    _, lower, upper = effect.gain
    if lower > ship_above:
        waiting = [g.metric for g in guardrails if g.state == "open"]
        return f"{effect.arm} gains on {effect.metric}, but {', '.join(waiting)} is not shown to be kept."
    return (
        f"{effect.arm} gains from {lower:.4g} to {upper:.4g} on {effect.metric}; the rule asks for more "
        f"than {ship_above:g}."
    )
