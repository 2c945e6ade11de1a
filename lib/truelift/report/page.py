"""The whole page: one file of HTML that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files

from truelift.effects.telling.names import clusters_of, in_words
from truelift.effects.telling.sentences import verdict_text
from truelift.report.cautions import caution
from truelift.report.content import ReportContent
from truelift.report.estimates import nouns, of_pipeline
from truelift.report.markup import Html, definitions, element, fragment
from truelift.report.numbers import count, day, joined, model_name, outcome_name, share
from truelift.report.numbers import in_words as in_plain_words
from truelift.report.reading import headline
from truelift.report.section import Section, sections
from truelift.report.sections.answer import why_no_effects
from truelift.training.results import TrainingResult

QUESTION = "Do the {treatments} change what {subjects} do, and how sure are we?"
QUESTION_WITHOUT_EFFECTS = "What do people do, and what comes next?"
NAMED_ARMS = 3


def render_page(content: ReportContent) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    content : ReportContent
        Results of the steps; a part that is None is stated as missing.

    Returns
    -------
    str
        The document, with its style and its plots inside.
    """
    if content.effects is not None:
        content = replace(content, effects=in_words(content.effects))
    parts = _drawn(content)
    body = element(
        "body",
        element("a", "Skip to the answer", href="#answer", class_="skip"),
        _header(content, parts),
        element("main", *parts.values()),
        _footer(content),
    )
    return document(f"truelift report: {content.dataset}", body)


def document(title: str, body: Html) -> str:
    """A body as a document with the report's style inside."""
    style = files("truelift.report").joinpath("style.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light"),
        element("title", title),
        element("style", Html(style)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _drawn(content: ReportContent) -> dict[Section, Html]:
    """The sections that this run has something to say in, with what they say.

    A table of one's own has no steps before its estimation, so it gets no sections of theirs; logs
    without exposures have no effects to look into.
    """
    found = {}
    for section in sections():
        missing = section.reads and not any(content.result(kind) for kind in section.reads)
        if _of_own_table(content) and missing:
            continue
        part = section.draw(content)
        if part is not None:
            found[section] = part
    return found


def _of_own_table(content: ReportContent) -> bool:
    return content.effects is not None and not of_pipeline(content.effects)


def finding(content: ReportContent) -> str:
    """The headline: the effect, or why there is none."""
    if content.effects is not None and content.effects.estimates:
        return headline(content.effects)
    return f"No effect was estimated. {why_no_effects(content)}"


def question(content: ReportContent) -> str:
    """What the page answers; of a table of one's own in its own words."""
    result = content.effects
    if result is None or not result.estimates:
        return QUESTION_WITHOUT_EFFECTS
    if told := nouns(result):
        return QUESTION.format(treatments=told.treatments, subjects=told.subjects)
    names = list(dict.fromkeys(outcome_name(e.outcome) for e in result.estimates))
    arms = list(result.overlaps)
    treatment = result.design.treatment.replace("_", " ")
    if len(arms) <= NAMED_ARMS and not any(treatment and treatment in arm for arm in arms):
        what = "the treatment" if arms == ["treated"] else joined(arms)
        does = "Does" if len(arms) == 1 else "Do"
    else:
        what, does = treatment or "the treatment", "Does"
    return f"{does} {what} change {joined(names[:NAMED_ARMS])}, and how sure are we?"


def _header(content: ReportContent, shown: Iterable[Section]) -> Html:
    links = [element("li", element("a", s.title, href=f"#{s.name}")) for s in shown]
    return element(
        "header",
        element("p", origin(content), class_="eyebrow"),
        element("h1", question(content)),
        _verdict(content),
        element("p", finding(content), class_="finding"),
        _caution(content),
        _key_figures(content),
        element("nav", element("ul", *links), aria_label="Contents"),
    )


def origin(content: ReportContent) -> str:
    """Data set or table, sample, period and the run's date, in a line."""
    result = content.effects
    if result is not None and _of_own_table(content):
        parts = [f"Table: {result.table} version {result.table_version}"]
    else:
        users = "all users" if content.sample >= 1 else f"{share(content.sample)} of the users"
        parts = [f"Data set: {content.dataset}", users]
    if content.sessions is not None and content.sessions.per_day:
        first, last = content.sessions.per_day[0][0], content.sessions.per_day[-1][0]
        parts.append(f"{day(first)} to {day(last)}")
    finished = max((record.finished for record in content.pedigree), default="")
    ran = f"{day(finished)}, {finished[11:16]} UTC" if finished else content.generated_at
    return " \N{MIDDLE DOT} ".join([*parts, f"run of {ran}"])


def _has_effects(content: ReportContent) -> bool:
    return content.effects is not None and bool(content.effects.estimates)


def _verdict(content: ReportContent) -> Html | None:
    """Whether the data support an effect, before anything else is said."""
    result = content.effects
    if result is None or not result.estimates:
        return None
    text = in_plain_words(verdict_text(result))
    kind = "good" if result.supported else "bad"
    return element(
        "p",
        element("strong", "Verdict: "),
        text[:1].upper() + text[1:],
        class_=f"verdict verdict-{kind}",
    )


def _caution(content: ReportContent) -> Html | None:
    text = caution(content.effects) if content.effects and _has_effects(content) else None
    return element("p", element("a", text, href="#warnings"), class_="caution") if text else None


def _key_figures(content: ReportContent) -> Html | None:
    pairs: list[tuple[str, Html | str]] = []
    if content.clean is not None:
        pairs.append(("Clean events", count(content.clean.silver)))
    if content.sessions is not None:
        pairs.append(("Sessions", count(content.sessions.sessions)))
        pairs.append(("Users", count(content.sessions.users)))
    if content.effects is not None:
        pairs.append(("Units compared", count(content.effects.n)))
        if _of_own_table(content):
            noun = clusters_of(content.effects)
            pairs.append((noun.capitalize(), count(content.effects.clusters)))
            pairs.append(("Arms", count(len(content.effects.arms))))
    if content.training is not None and content.training.test:
        pairs.append(_hit_rate(content.training))
    return definitions(pairs, class_="figures") if pairs else None


def _hit_rate(training: TrainingResult) -> tuple[str, Html]:
    """The model's hit rate beside the best of the baselines': alone it would say nothing."""
    model, *baselines = training.test
    best = max(baselines, key=lambda m: m.hit_rate, default=None)
    beside = (
        "no baseline"
        if best is None
        else f"{model_name(model.model)}; best baseline, {model_name(best.model)}: "
        f"{share(best.hit_rate)}"
    )
    value = fragment(share(model.hit_rate), element("span", beside, class_="beside"))
    return f"Hit rate in first {model.k}", value


def _footer(content: ReportContent) -> Html:
    sample = (
        None
        if content.sample >= 1
        else element(
            "p",
            element("strong", "Sample: "),
            f"this run used {share(content.sample)} of the users.",
        )
    )
    version = f" by truelift {content.version}" if content.version else ""
    return element(
        "footer", sample, element("p", fragment(f"Made {content.generated_at}{version}."))
    )
