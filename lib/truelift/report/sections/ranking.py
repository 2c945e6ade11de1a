"""What comes next: the sequence model beside its baselines, and examples."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from truelift.evaluation.by_lot_results import LotEvaluation
from truelift.evaluation.segment_names import meaning
from truelift.progress import duration
from truelift.recommend.results import RecommendationExample, RecommendResult
from truelift.report.content import ReportContent
from truelift.report.markup import Html, element, missing, section, table
from truelift.report.numbers import (
    count,
    day,
    interval,
    model_name,
    number,
    p_value,
    plural,
    share,
)
from truelift.report.plots import learning_curve, ranking_bars, segment_bars
from truelift.report.plots.training import best_epoch
from truelift.report.section import Figures, Section
from truelift.report.svg import figure_block
from truelift.training.results import RankingMetrics, TrainingResult


def ranking(content: ReportContent) -> Html:
    """Ranking quality with intervals, and the training curve."""
    result = content.training
    heading = "How well do we guess what comes next?"
    if result is None:
        why = "The step train_sequence has not run on this lake."
        return section("ranking", heading, missing("The sequence model", why))
    by_lot = content.result(LotEvaluation)
    more = () if by_lot is None else _by_lot(by_lot)
    return section("ranking", heading, *_quality(result), *more, *_training(result))


def _by_lot(found: LotEvaluation) -> tuple[Html | None, ...]:
    """Labels that nobody chose to give, beside what the log says of the same."""
    rows = [
        (
            model_name(f.model), f.measure.replace("_", " "), number(f.value, 3), interval(f.lower, f.upper, 3),
            "-" if f.logs is None else number(f.logs, 3),
        )
        for f in found.figures
    ]  # fmt: skip
    header = ("Ranked by", "Measure", "Rows by lot", "95% interval", "Log, by weights")
    text = (
        f"{plural(found.rows, 'label')} of {plural(found.users, 'user')} that were drawn by lot say what people like, also "
        "of what they would not have chosen; the log holds what they chose, and weights for what is popular mend a "
        f"part of that. {found.left_out()}"
    )
    return (
        element("h3", "Judged by lot"), element("p", text.strip()),
        table("Rankers on labels by lot", header, rows, frozenset({2, 3, 4})),
    )  # fmt: skip


def comparison(result: TrainingResult) -> str:
    """The model beside its best baseline, in words, with regard to the paired interval."""
    model, baselines = result.test[0], result.test[1:]
    found = (
        f"{model_name(model.model)} puts a right item among its first {model.k} for "
        f"{share(model.hit_rate)} of {plural(model.users, 'user')}"
    )
    accuracy = model.measure("accuracy")
    if accuracy is not None:
        found = f"{model_name(model.model)} foretells the next action of {share(accuracy.value)} of the users"
    if not baselines:
        return f"{found}. There is no baseline to compare with."
    found += _ahead(result)
    best = best_baseline(result)
    difference = model.difference("ndcg")
    if difference is not None:
        clear = difference.ci_lower > 0 or difference.ci_upper < 0
        gap = (
            f"{number(difference.mean, 4, signed=True)} NDCG, user by user (95% interval "
            f"{interval(difference.ci_lower, difference.ci_upper, 4, signed=True)}, p "
            f"{p_value(difference.p_value)})"
        )
        if clear:
            verdict = "clearly better" if difference.mean > 0 else "clearly worse: use the baseline"
        else:
            verdict = "no clear winner"
        chosen = " (chosen on the validation part)" if result.best_baseline else ""
        return f"{found}. Against the best baseline, {model_name(best.model)}{chosen}: {gap}; {verdict}."
    if model.ndcg_ci_lower > best.ndcg_ci_upper:
        verdict = "clearly better (the intervals do not meet)"
    elif model.ndcg_ci_upper < best.ndcg_ci_lower:
        verdict = "clearly worse (the intervals do not meet): use the baseline"
    else:
        side = "above" if model.ndcg > best.ndcg else "not above"
        verdict = f"{side} it, with intervals that overlap: no clear winner"
    return (
        f"{found}. Against the best baseline, {model_name(best.model)} ({share(best.hit_rate)}), its NDCG is "
        f"{verdict}."
    )


def _ahead(result: TrainingResult) -> str:
    """A baseline that hits at least as often belongs beside the model's hit rate."""
    model, *baselines = result.test
    best = max(baselines, key=lambda m: m.hit_rate)
    if model.measure("accuracy") is not None or best.hit_rate < model.hit_rate:
        return ""
    return f"; {model_name(best.model)} does for {share(best.hit_rate)}"


def best_baseline(result: TrainingResult) -> RankingMetrics:
    """The baseline that was chosen on validation; of an older result the best on the test."""
    chosen = [m for m in result.test[1:] if m.model == result.best_baseline]
    return chosen[0] if chosen else max(result.test[1:], key=lambda m: m.ndcg)


def _quality(result: TrainingResult) -> list[Html]:
    if not result.test:
        return [missing("Ranking metrics", "No user had events in the test window.")]
    k = result.test[0].k
    described = " ".join(f"{model_name(m.model)}: NDCG {m.ndcg:.4f}." for m in result.test)
    seen = {
        "keep": "Items of a user's past compete like all others.",
        "drop": "Items of a user's past neither compete nor count as right"
        + (f"; {plural(result.left_out, 'user')} wanted nothing else." if result.left_out else "."),
    }.get(result.seen_items, "")
    return [
        element("p", comparison(result)),
        *_served(result),
        element("p", seen),
        figure_block(
            lambda width: ranking_bars(result, width),
            "ranking-bars",
            "Bar and dot: mean over users. Line: 95% interval. All items are ranked, none sampled.",
            described,
        ),
        table(
            f"Ranking of all items for the test part, first {k} places; mean and 95% interval",
            ("Model", f"NDCG@{k}", "Over the best baseline", f"HitRate@{k}", f"MRR@{k}",
             "Coverage", "Novelty (bits)", "Users"),
            [_row(m) for m in result.test],
            numeric=frozenset(range(1, 8)),
        ),
        *(element("p", note, class_="note") for note in result.notes),
        *_segments(result),
    ]  # fmt: skip


def _served(result: TrainingResult) -> list[Html]:
    """What the gate decided, and what should keep one from serving the champion unread."""
    found = []
    if result.gate and result.model_version:
        found.append(element("p", f"The gate on version {result.model_version}: {result.gate}."))
    if result.below_baseline is not None:
        warning = (
            f"This model ranks below the baseline {model_name(result.below_baseline)}: serving it is "
            "your decision, the baseline would do better."
        )
        found.append(element("p", warning, class_="note"))
    if result.champion_version is not None and result.champion_unknown_items:
        never = (
            f"The champion, version {result.champion_version}, has never seen "
            f"{plural(result.champion_unknown_items, 'item')} of the catalogue: nobody is offered "
            "them while it ranks."
        )
        found.append(element("p", never, class_="note"))
    return found


def _row(metrics: RankingMetrics) -> tuple[str, ...]:
    difference = metrics.difference("ndcg")
    gap = "–" if difference is None else (
        f"{number(difference.mean, 4, signed=True)} "
        f"({interval(difference.ci_lower, difference.ci_upper, 4, signed=True)})"
    )  # fmt: skip
    covered = metrics.measure("coverage")
    return (
        model_name(metrics.model),
        f"{number(metrics.ndcg, 4)} ({interval(metrics.ndcg_ci_lower, metrics.ndcg_ci_upper, 4)})",
        gap,
        _with_interval(metrics, "hit_rate", number(metrics.hit_rate, 4)),
        _with_interval(metrics, "mrr", "–"),
        "–" if covered is None else share(covered.value),
        _with_interval(metrics, "novelty", "–", 2),
        count(metrics.users),
    )


def _with_interval(metrics: RankingMetrics, name: str, otherwise: str, decimals: int = 4) -> str:
    found = metrics.measure(name)
    if found is None:
        return otherwise
    if found.ci_lower is None or found.ci_upper is None:
        return number(found.value, decimals)
    return f"{number(found.value, decimals)} ({interval(found.ci_lower, found.ci_upper, decimals)})"


def _segments(result: TrainingResult) -> list[Html]:
    model = result.test[0]
    if not model.segments:
        return []
    rival = best_baseline(result) if len(result.test) > 1 else None
    words = meaning()
    told = "; ".join(f"{s.segment}: {words[s.segment]}" for s in model.segments)
    described = " ".join(
        f"{s.segment}: NDCG {next(m.value for m in s.measures if m.name == 'ndcg'):.4f}."
        for s in model.segments
    )
    return [
        element("h3", "For whom, and for which items"),
        figure_block(
            lambda width: segment_bars(model, rival, width),
            "segment-bars",
            f"Dot: mean over users. Line: 95% interval. {told}.",
            described,
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


#: Between these an item of the history does nothing worth a mark for the recommendation.
NO_INFLUENCE = (0.9, 1.1)
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
        f"because of it, where that is less than {number(NO_INFLUENCE[0], 1)} or more than "
        f"{number(NO_INFLUENCE[1], 1)} times; what changes it less has no mark."
        if any(e.times_as_likely for e in result.examples)
        else ""
    )
    text = element("p", _summary(result) + explained)
    notes = [element("p", note, class_="note") for note in result.notes]
    return section("recommendations", heading, text, _limits(result), *notes, _examples(result))


def _summary(result: RecommendResult) -> str:
    seen = {
        "keep": "Items a user took before may come again",
        "drop": "Items a user took before are left out",
    }.get(result.seen_items, f"Seen items: {result.seen_items}")
    return (
        f"{plural(result.rows, 'recommendation')} for {plural(result.users, 'user')}, by model "
        f"version {result.model_version}. {seen}."
    )


def _limits(result: RecommendResult) -> Html | None:
    """What lists were held to, and what they make of it."""
    if not result.limits:
        return None
    rows = []
    for kept in result.limits:
        shown = share if kept.kind == "least" else lambda value: number(value, 2)
        rows.append((kept.name, shown(kept.used), f"at {kept.kind} {shown(kept.limit)}"))
    return table(
        "Limits that the lists keep", ("", "They have", "Allowed"), rows, frozenset({1, 2})
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
            element("div", element("h4", "Lately"), element("ul", *latest), _undecided(example)),
            element(
                "div",
                element("h4", "Recommended"),
                element("ol", *(recommended(name) for name in example.recommended)),
            ),
            class_="pair",
        ),
        class_="card",
    )


def _undecided(example: RecommendationExample) -> Html | None:
    low, high = NO_INFLUENCE
    if not example.times_as_likely or any(not low <= t <= high for t in example.times_as_likely):
        return None
    return element("p", "No single one of these decides the first recommendation.", class_="small")


def _influences(example: RecommendationExample) -> list[tuple[str, float | None]]:
    known = example.times_as_likely or (None,) * len(example.recent)
    return list(zip(example.recent, known, strict=True))


def _lately(name: str, times: float | None) -> Html:
    """An item of the history, with what it does for the first recommendation."""
    if times is None or NO_INFLUENCE[0] <= times <= NO_INFLUENCE[1]:
        return element("li", name)
    return element("li", name, " ", element("span", f"×{number(times, 2)}", class_="tag"))


def figures(content: ReportContent) -> Figures:
    """The training curve, and the model beside its baselines."""
    found: dict[str, Callable[[], Figure]] = {}
    if training := content.training:
        if training.epochs:
            found["learning_curve"] = lambda: learning_curve(training)
        if training.test:
            found["ranking_bars"] = lambda: ranking_bars(training)
    return found


RANKING = Section(
    "ranking", "What comes next?", 50, ranking, figures, (TrainingResult, LotEvaluation)
)
RECOMMENDATIONS = Section(
    "recommendations", "Recommendations", 60, recommendations, reads=(RecommendResult,)
)
