"""Whom to treat how, and for how much money: a learned policy and a budget path, where commands left them."""

from __future__ import annotations

from truelift.policy.budget.results import AllocationResult
from truelift.policy.results import Figure, PolicyResult
from truelift.report.content import ReportContent
from truelift.report.markup import Html, element, section, table
from truelift.report.numbers import decimals_for, interval, level, number, outcome_name
from truelift.report.plots.policy import budget_curve, policy_tree
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block

HEADING = "What should be done with whom?"


def policy(content: ReportContent) -> Html | None:
    """The policy and the budget; None where neither was asked for."""
    learned, spent = content.result(PolicyResult), content.result(AllocationResult)
    if learned is None and spent is None:
        return None
    parts = [] if learned is None else _learned(learned)
    return section("policy", HEADING, *parts, *([] if spent is None else _spent(spent)))


def _figures(content: ReportContent) -> Figures:
    found = {}
    learned, spent = content.result(PolicyResult), content.result(AllocationResult)
    if learned is not None and learned.drawing:
        found["policy-tree"] = lambda: policy_tree(learned)
    if spent is not None:
        found["budget-path"] = lambda: budget_curve(spent)
    return found


def _learned(result: PolicyResult) -> list[Html]:
    value = result.value
    places = decimals_for(value.standard_error)
    parts = [
        element("h3", f"A policy for {outcome_name(result.outcome)}"),
        element(
            "p",
            f"On units that did not choose it the policy is worth {_told(value, places)} a unit "
            f"({level(result.confidence)} interval), net of costs. On the units that chose it, it looks "
            f"like {number(result.in_sample, places)}: the difference is optimism.",
        ),
    ]
    if result.drawing:
        parts.append(
            figure_block(
                lambda width: policy_tree(result, width),
                "policy-tree",
                "The policy of all units, as a tree. A missing value goes with the lowest.",
                " ".join(result.rule),
            )
        )
    parts.append(element("ul", *(element("li", line) for line in result.rule)))
    rows = [
        (f"{gain.name} for all", _estimate(gain, places), _interval(gain, places))
        for gain in result.gains
    ]
    parts.append(
        table(
            "What the policy gains a unit, against giving everyone one arm",
            ("against", "gain", level(result.confidence) + " interval"),
            rows,
            frozenset({1}),
        )
    )
    if result.groups:
        parts.append(
            table(
                "By group: share treated, gain against the control for all, and regret to the one arm that "
                "would be best for all of the group; bands for all groups at once",
                ("group", "treated", "gain", "regret"),
                [
                    (
                        f"{g.column} {g.level}",
                        f"{100 * g.share.estimate:.1f}%",
                        f"{_estimate(g.gain, places)} ({_band(g.gain, places)})",
                        f"{_estimate(g.regret, places)} ({_band(g.regret, places)}) to {g.regret_to}",
                    )
                    for g in result.groups
                ],
                frozenset({1}),
            )
        )
    return [*parts, *(element("p", note) for note in result.notes)]


def _spent(result: AllocationResult) -> list[Html]:
    gain = result.gain
    places = decimals_for(gain.standard_error)
    shares = ", ".join(f"{100 * s:.1f}% {arm}" for arm, s in result.shares.items())
    parts = [
        element("h3", f"A {result.money} of {result.budget:,.6g}"),
        element(
            "p",
            f"{shares}. That gains {_told(gain, places)} in all ({level(result.confidence)} interval) "
            f"against {result.arms[0]} for all, and uses {result.spend:,.6g}.",
        ),
        figure_block(
            lambda width: budget_curve(result, width),
            "budget-path",
            "What each budget gains when it goes where the forecasts say it gains most; the scores say what "
            "it gained. The dotted line is the budget that was chosen.",
            "; ".join(f"{p.budget:,.6g}: {_told(p.gain, places)}" for p in result.path) + ".",
        ),
    ]
    if result.money == "budget":
        told = (
            "One more unit of money gains less than itself from the start."
            if result.stop is None
            else f"One more unit of money gains at least itself up to about {result.stop:,.6g}."
        )
        parts.append(element("p", told))
    if result.limits_cost is not None:
        parts.append(
            element(
                "p",
                f"Floors and caps take {_told(result.limits_cost, places)} of the gain: "
                + "; ".join(
                    f"{s.level} {100 * s.without:.1f}% treated without them, {100 * s.within:.1f}% with"
                    for s in result.levels
                )
                + ".",
            )
        )
        payable = [p for p in result.path if p.limits_take is not None]
        if payable:
            told = "; ".join(
                f"{p.budget:,.6g}: {_estimate(p.limits_take, places)} ({_band(p.limits_take, places)})"
                for p in payable
                if p.limits_take is not None
            )
            parts.append(
                element(
                    "p",
                    f"What they take at other budgets of the path, with a band for all of these: {told}.",
                )
            )
    return [*parts, *(element("p", note) for note in result.notes)]


def _estimate(figure: Figure, places: int) -> str:
    return number(figure.estimate, places)


def _interval(figure: Figure, places: int) -> str:
    return interval(figure.ci_lower, figure.ci_upper, places)


def _band(figure: Figure, places: int) -> str:
    return interval(figure.band_lower, figure.band_upper, places)


def _told(figure: Figure, places: int) -> str:
    return f"{_estimate(figure, places)} ({_interval(figure, places)})"


POLICY = Section("policy", HEADING, 35, policy, _figures, reads=(PolicyResult, AllocationResult))
