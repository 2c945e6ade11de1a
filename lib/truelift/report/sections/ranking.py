"""What comes next: the sequence model beside its baselines, and examples."""

from __future__ import annotations

from truelift.recommend.results import RecommendationExample, RecommendResult
from truelift.report.content import ReportContent
from truelift.report.markup import Html, element, missing, section, table
from truelift.report.numbers import count, day, duration, number, plural, share
from truelift.report.plots import learning_curve, ranking_bars
from truelift.report.plots.training import best_epoch
from truelift.report.svg import figure_block
from truelift.training.results import RankingMetrics, TrainingResult


def ranking(content: ReportContent) -> Html:
    """Ranking quality with intervals, and the training curve."""
    result = content.training
    heading = "How well do we guess what comes next?"
    if result is None:
        why = "The step train_sequence has not run on this lake."
        return section("ranking", heading, missing("The sequence model", why))
    return section("ranking", heading, *_quality(result), *_training(result))


def comparison(test: tuple[RankingMetrics, ...]) -> str:
    """The model beside its best baseline, in words, with regard to the intervals."""
    model, baselines = test[0], [m for m in test[1:] if m.model != "champion"]
    found = (
        f"{model.model} puts a right item among its first {model.k} for "
        f"{share(model.hit_rate)} of {plural(model.users, 'user')}"
    )
    if not baselines:
        return f"{found}. There is no baseline to compare with."
    best = max(baselines, key=lambda m: m.ndcg)
    if model.ndcg_ci_lower > best.ndcg_ci_upper:
        verdict = "clearly better (the intervals do not meet)"
    elif model.ndcg_ci_upper < best.ndcg_ci_lower:
        verdict = "clearly worse (the intervals do not meet): use the baseline"
    else:
        side = "above" if model.ndcg > best.ndcg else "not above"
        verdict = f"{side} it, with intervals that overlap: no clear winner"
    return (
        f"{found}. Against the best baseline, {best.model} ({share(best.hit_rate)}), its NDCG is "
        f"{verdict}."
    )


def _quality(result: TrainingResult) -> list[Html]:
    if not result.test:
        return [missing("Ranking metrics", "No user had events in the test window.")]
    rows = [
        (
            m.model,
            number(m.ndcg, 4),
            f"{number(m.ndcg_ci_lower, 4)} to {number(m.ndcg_ci_upper, 4)}",
            number(m.hit_rate, 4),
            count(m.users),
        )
        for m in result.test
    ]
    k = result.test[0].k
    described = " ".join(f"{m.model}: NDCG {m.ndcg:.4f}." for m in result.test)
    return [
        element("p", comparison(result.test)),
        figure_block(
            lambda width: ranking_bars(result, width),
            "ranking-bars",
            "Bar and dot: mean over users. Line: 95% interval. All items are ranked, none sampled.",
            described,
        ),
        table(
            f"Ranking of all items for the test window, first {k} places",
            ("Model", f"NDCG@{k}", "95% interval", f"HitRate@{k}", "Users"),
            rows,
            numeric=frozenset({1, 2, 3, 4}),
        ),
    ]


def _training(result: TrainingResult) -> list[Html]:
    heading = element("h3", "Training")
    if not result.epochs:
        return [heading, missing("Training curve", "No epoch was completed.")]
    best = best_epoch(result)
    total = sum(e.seconds for e in result.epochs)
    speed = sum(e.sequences_per_second for e in result.epochs) / len(result.epochs)
    waiting = sum(e.input_wait_share * e.seconds for e in result.epochs) / total if total else 0.0
    windows = [
        f"{name} from {day(result.split[key])}" for name, key in _WINDOWS if key in result.split
    ]
    split = f" Split by time: {', '.join(windows)}." if windows else ""
    text = (
        f"{plural(result.processes, 'process', 'processes')} trained "
        f"{plural(result.parameters, 'parameter')} on "
        f"{plural(result.train_sequences, 'sequence')} in {duration(total)} "
        f"({count(speed)} sequences a second, {share(waiting)} of the time waiting for input)."
        f"{split}"
    )
    return [
        heading,
        element("p", text),
        figure_block(
            lambda width: learning_curve(result, width),
            "learning-curve",
            f"Epoch {best.epoch} was best on the validation window.",
            f"Loss and validation NDCG over {plural(len(result.epochs), 'epoch')}; validation "
            f"NDCG was highest, {best.validation_ndcg:.4f}, in epoch {best.epoch}.",
        ),
    ]


_WINDOWS = (("validation", "validation_start"), ("test", "test_start"))


def recommendations(content: ReportContent) -> Html:
    """A few users: what they took lately, and what they would be shown."""
    result = content.recommend
    heading = "What would we recommend?"
    if result is None:
        why = "The step recommend has not run on this lake."
        return section("recommendations", heading, missing("Recommendations", why))
    explained = (
        " Beside what a user took lately: how many times as likely the first recommendation is "
        "because of it."
        if any(e.times_as_likely for e in result.examples)
        else ""
    )
    text = element("p", _summary(result) + explained)
    return section("recommendations", heading, text, _examples(result))


def _summary(result: RecommendResult) -> str:
    seen = {
        "keep": "Items a user took before may come again",
        "drop": "Items a user took before are left out",
    }.get(result.seen_items, f"Seen items: {result.seen_items}")
    return (
        f"{plural(result.rows, 'recommendation')} for {plural(result.users, 'user')}, by model "
        f"version {result.model_version}. {seen}."
    )


def _examples(result: RecommendResult) -> Html:
    if not result.examples:
        return missing("Examples", "No user had recommendations to show.")
    return element("div", *(_example(e) for e in result.examples), class_="examples")


def _example(example: RecommendationExample) -> Html:
    recent = set(example.recent)

    def recommended(name: str) -> Html:
        again = element("span", "again", class_="tag") if name in recent else None
        return element("li", name, " " if again else None, again)

    latest = [_lately(name, times) for name, times in _influences(example)]
    return element(
        "article",
        element("h3", f"User {example.user_key}"),
        element(
            "div",
            element("div", element("h4", "Lately"), element("ul", *latest)),
            element(
                "div",
                element("h4", "Recommended"),
                element("ol", *(recommended(name) for name in example.recommended)),
            ),
            class_="pair",
        ),
        class_="card",
    )


def _influences(example: RecommendationExample) -> list[tuple[str, float | None]]:
    known = example.times_as_likely or (None,) * len(example.recent)
    return list(zip(example.recent, known, strict=True))


def _lately(name: str, times: float | None) -> Html:
    """An item of the history, with what it does for the first recommendation."""
    if times is None:
        return element("li", name)
    return element("li", name, " ", element("span", f"×{number(times, 2)}", class_="tag"))
