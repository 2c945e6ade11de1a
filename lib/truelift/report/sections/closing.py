"""The closing sentences, for the one who decides: on the treatment, on the recommendations."""

from __future__ import annotations

from truelift.effects.telling.decision import decision
from truelift.report.content import ReportContent
from truelift.report.markup import Html, bullets, element, fragment, section
from truelift.report.numbers import in_words, model_name
from truelift.report.section import Section
from truelift.report.sections.ranking import best_baseline
from truelift.training.results import TrainingResult


def closing(content: ReportContent) -> Html | None:
    """What follows from the page for a decision; None where nothing was estimated or trained."""
    said: list[Html] = []
    if content.effects is not None and content.effects.estimates:
        said.append(_item("The treatment", in_words(decision(content.effects))))
    if content.training is not None and content.training.test:
        said.append(_item("The recommendations", recommending(content.training)))
    if not said:
        return None
    parts = [bullets(said), _caveat(content)]
    return section("decision", "For the one who decides", *parts)


def _item(name: str, text: str) -> Html:
    return fragment(element("strong", f"{name}: "), text)


def recommending(result: TrainingResult) -> str:
    """Whether to serve the model or a baseline, by the paired difference on the test part."""
    model = result.test[0]
    name = model_name(model.model)
    if len(result.test) < 2:
        return f"there is no baseline beside {name}, so nothing says that it is worth serving."
    rival = model_name(best_baseline(result).model)
    difference = model.difference("ndcg")
    if difference is None:
        return f"compare {name} and {rival} in the table: no difference by user was computed."
    if difference.ci_lower > 0:
        return (
            f"serve {name}: by NDCG it is ahead of the best baseline, {rival}, by more than chance."
        )
    if difference.ci_upper < 0:
        return f"serve {rival}, not {name}: the baseline is ahead by more than chance."
    return f"{rival} is as good as {name} as far as these users show; serve the simpler of the two."


def _caveat(content: ReportContent) -> Html | None:
    if content.sample >= 1:
        return None
    return element(
        "p",
        "This run used a sample of the users: run it on all of them before you act.",
        class_="small",
    )


DECISION = Section("decision", "What to do", 90, closing)
