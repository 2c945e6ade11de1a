"""What would other doses earn? The values that ``evaluate_doses`` left, with the sweep over bandwidths."""

from __future__ import annotations

from truelift.policy.doses.results import DosesResult, judged
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, section, table
from truelift.report.numbers import count, decimals_for, interval, level, number
from truelift.report.section import Section

HEADING = "What would other doses earn?"


def doses(content: ReportContent) -> Html | None:
    """Every policy's value, whether it ships, what smoothing moves; None where no doses were evaluated."""
    result = content.result(DosesResult)
    if result is None:
        return None
    said = (
        f"From {count(result.rows)} decisions of {count(result.users)} users in the log {result.table}, whose action is a "
        f"number; densities {result.densities or 'logged'}. A kernel counts logged doses near a policy's own; the part "
        "of its bias that goes with the square of the bandwidth is estimated and taken out. Standard errors are "
        "clustered by user."
    )
    parts: list[Html | None] = [element("p", said)]
    for reward in dict.fromkeys(v.reward for v in result.values):
        own = [v for v in result.values if v.reward == reward]
        parts += [
            _values(result, reward),
            bullets(element("span", judged(v)) for v in own),
            _sweep(result, reward),
        ]
    return section("doses", HEADING, *parts)


def _values(result: DosesResult, reward: str) -> Html:
    own = [v for v in result.values if v.reward == reward]
    places = decimals_for(min((v.standard_error for v in own if v.standard_error > 0), default=1.0))
    rows = [("the present policy", number(own[0].present, places), "", "", "", "", "", "")]
    for v in own:
        told = v.verdict != "not supported"
        rows.append(
            (
                v.policy,
                number(v.value, places) if told else "–",
                interval(v.ci_lower, v.ci_upper, places) if told else "",
                number(v.difference, places, signed=True) if told else "",
                number(v.band_lower, places, signed=True) if told else "",
                number(v.bias, places, signed=True) if told else "",
                v.verdict,
                "ships" if v.ships else "stays",
            )
        )
    header = (
        "Policy", f"{reward} a row", "Interval", "Against the present", "At least, all together",
        "Smoothing moved", "Support", "",
    )  # fmt: skip
    caption = f"{reward}: what each policy earns, with {level(result.confidence)} intervals"
    return table(caption, header, rows, frozenset({1, 2, 3, 4, 5}))


def _sweep(result: DosesResult, reward: str) -> Html:
    own = [e for e in result.estimates if e.reward == reward]
    places = decimals_for(min((e.standard_error for e in own if e.standard_error > 0), default=1.0))
    rows = [
        (
            e.policy, e.estimator, f"{e.bandwidth:.4g}", number(e.estimate, places),
            number(e.standard_error, places), interval(e.ci_lower, e.ci_upper, places),
        )
        for e in own
    ]  # fmt: skip
    header = ("Policy", "Estimator", "Bandwidth", "Estimate", "Standard error", "Interval")
    caption = f"All estimates of {reward} by bandwidth; these intervals do not count the bias of smoothing"
    swept = table(caption, header, rows, frozenset({2, 3, 4, 5}))
    return element("details", element("summary", f"All {len(own)} estimates"), swept)


DOSES = Section("doses", "Other doses", 46, doses, reads=(DosesResult,))
