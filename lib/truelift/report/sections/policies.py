"""What would other policies earn? The values that ``evaluate_policies`` left, with the whole sweep."""

from __future__ import annotations

from truelift.policy.off_policy.results import PoliciesResult, PolicyEstimate, PresentValue
from truelift.policy.off_policy.telling import distribution_in_words, judged
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, fragment, section, table
from truelift.report.numbers import count, decimals_for, interval, level, number, share
from truelift.report.section import Section

HEADING = "What would other policies earn?"


def policies(content: ReportContent) -> Html | None:
    """Every policy's value, whether it ships, what the log has of it; None where none was evaluated."""
    result = content.result(PoliciesResult)
    if result is None:
        return None
    parts: list[Html | None] = [element("p", _log(result))]
    for present in result.present:
        parts += [
            _values(result, present),
            bullets(_sentences(result, present)),
            _sweep(result, present),
            _distribution(result, present),
            _lists(result, present),
        ]
    parts += [
        _support(result),
        bullets(str(plan) for plan in result.plans) if result.plans else None,
    ]
    return section("policies", HEADING, *parts)


def _log(result: PoliciesResult) -> str:
    groups = f" in {result.groups}" if result.groups else ""
    return (
        f"From {count(result.rows)} decisions of {count(result.users)} users in the log {result.table}, "
        f"with {count(result.actions)} actions{groups}. Propensities: {result.propensities}; reward model: "
        f"{result.reward_model}. Standard errors are clustered by user; a policy is judged by an estimator "
        "without bias, whatever estimate is the shortest."
    )


def _sentences(result: PoliciesResult, present: PresentValue) -> list[Html]:
    return [element("span", judged(result, s.policy, present.reward)) for s in result.support]


def _values(result: PoliciesResult, present: PresentValue) -> Html:
    places = decimals_for(present.standard_error)
    rows = [
        (
            "the present policy", number(present.estimate, places),
            interval(present.ci_lower, present.ci_upper, places), "", "", "",
        )
    ]  # fmt: skip
    for v in result.values:
        if v.reward == present.reward:
            rows.append(
                (
                    v.policy, number(v.value, places),
                    interval(v.value_lower, v.value_upper, places),
                    number(v.difference, places, signed=True),
                    interval(v.ci_lower, v.ci_upper, places), "ships" if v.ships else "stays",
                )
            )  # fmt: skip
    header = (
        "Policy",
        f"{present.reward} a row",
        "Interval",
        "Against the present",
        "Interval",
        "",
    )
    caption = f"{present.reward}: what each policy earns, with {level(result.confidence)} intervals"
    return table(caption, header, rows, frozenset({1, 2, 3, 4}))


def _sweep(result: PoliciesResult, present: PresentValue) -> Html:
    own = [e for e in result.estimates if e.reward == present.reward]
    rows = [_row(e, decimals_for(present.standard_error) + 1) for e in own]
    header = ("Policy", "Estimator", "Tuning value", "Estimate", "Standard error", "Interval", "")
    caption = (
        f"All estimates of {present.reward}; the rule {result.select!r} takes the marked one. Intervals of "
        "shrunk estimates and of DM do not count their bias"
    )
    swept = table(caption, header, rows, frozenset({2, 3, 4, 5}))
    return element("details", element("summary", f"All {len(own)} estimates"), swept)


def _distribution(result: PoliciesResult, present: PresentValue) -> Html | None:
    own = [e for e in result.distribution if e.reward == present.reward]
    if not own:
        return None
    words = [f"{e.policy}, {distribution_in_words(e)}" for e in own]
    title = f"How {present.reward} is distributed under each policy"
    return element("details", element("summary", title), bullets(words))


def _lists(result: PoliciesResult, present: PresentValue) -> Html | None:
    own = [e for e in result.lists if e.reward == present.reward]
    if not own:
        return None
    places = decimals_for(min(e.standard_error for e in own) or 1.0)
    rows = [
        (
            e.policy, e.estimator, number(e.estimate, places), interval(e.ci_lower, e.ci_upper, places),
            number(e.difference, places, signed=True),
            interval(e.difference_lower, e.difference_upper, places),
        )
        for e in own
    ]  # fmt: skip
    header = (
        "Policy", "Estimator", f"{present.reward} a list", "Interval", "Against the log's lists",
        "Interval",
    )  # fmt: skip
    caption = (
        "Whole lists. SIPS assumes nothing of users, RIPS and cascade-DR that they look from the top down, "
        "IIPS that a slot's reward is its own item's, PI that a list's reward is a sum over its slots"
    )
    return table(caption, header, rows, frozenset({2, 3, 4, 5}))


def _row(e: PolicyEstimate, places: int) -> tuple[str, ...]:
    return (
        e.policy, e.estimator, "" if e.tuning is None else f"{e.tuning:g}",
        number(e.estimate, places), number(e.standard_error, places),
        interval(e.ci_lower, e.ci_upper, places), "selected" if e.selected else "",
    )  # fmt: skip


def _support(result: PoliciesResult) -> Html:
    rows = [
        (
            s.policy, s.verdict, share(s.missing_mass), count(round(s.effective_rows)),
            f"{s.largest_weight:.4g}", number(s.tail_index, 2), s.reason,
        )
        for s in result.support
    ]  # fmt: skip
    header = (
        "Policy", "Support", "Mass not in the log", "Worth rows", "Largest weight", "Tail index", "Why",
    )  # fmt: skip
    return fragment(table("What the log has of each policy", header, rows, frozenset({2, 3, 4, 5})))


POLICIES = Section("policies", "Other policies", 45, policies, reads=(PoliciesResult,))
