"""The whole page: one file of HTML that needs nothing from outside."""

from __future__ import annotations

from importlib.resources import files

from truelift.report.cautions import caution
from truelift.report.content import ReportContent
from truelift.report.markup import Html, definitions, element, fragment
from truelift.report.numbers import count, share
from truelift.report.reading import headline
from truelift.report.sections.answer import answer, why_no_effects
from truelift.report.sections.data import rows, sessions
from truelift.report.sections.fragile import fragile
from truelift.report.sections.pedigree import pedigree
from truelift.report.sections.ranking import ranking, recommendations
from truelift.report.sections.trust import trust
from truelift.report.sections.whom import whom

QUESTION = "Do the campaigns change what people do, and how sure are we?"
QUESTION_WITHOUT_EFFECTS = "What do people do, and what comes next?"

CONTENTS = (
    ("answer", "Did it help?"),
    ("trust", "Can the groups be compared?"),
    ("whom", "Whom does it help?"),
    ("fragile", "How fragile is it?"),
    ("ranking", "What comes next?"),
    ("recommendations", "Recommendations"),
    ("rows", "Rows"),
    ("sessions", "Sessions"),
    ("pedigree", "Pedigree"),
)


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
    style = files("truelift.report").joinpath("style.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light"),
        element("title", f"truelift report: {content.dataset}"),
        element("style", Html(style)),
    )
    body = element(
        "body",
        element("a", "Skip to the answer", href="#answer", class_="skip"),
        _header(content),
        element(
            "main",
            answer(content),
            trust(content),
            whom(content),
            fragile(content),
            ranking(content),
            recommendations(content),
            rows(content),
            sessions(content),
            pedigree(content),
        ),
        _footer(content),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def finding(content: ReportContent) -> str:
    """The headline: the effect, or why there is none."""
    if content.effects is not None and content.effects.estimates:
        return headline(content.effects)
    return f"No effect was estimated. {why_no_effects(content)}"


def _header(content: ReportContent) -> Html:
    links = [element("li", element("a", name, href=f"#{anchor}")) for anchor, name in CONTENTS]
    return element(
        "header",
        element("p", f"Data set: {content.dataset}", class_="eyebrow"),
        element("h1", QUESTION if _has_effects(content) else QUESTION_WITHOUT_EFFECTS),
        element("p", finding(content), class_="finding"),
        _caution(content),
        _key_figures(content),
        element("nav", element("ul", *links), aria_label="Contents"),
    )


def _has_effects(content: ReportContent) -> bool:
    return content.effects is not None and bool(content.effects.estimates)


def _caution(content: ReportContent) -> Html | None:
    text = caution(content.effects) if content.effects and _has_effects(content) else None
    return element("p", element("a", text, href="#warnings"), class_="caution") if text else None


def _key_figures(content: ReportContent) -> Html | None:
    pairs: list[tuple[str, str]] = []
    if content.clean is not None:
        pairs.append(("Clean events", count(content.clean.silver)))
    if content.sessions is not None:
        pairs.append(("Sessions", count(content.sessions.sessions)))
        pairs.append(("Users", count(content.sessions.users)))
    if content.effects is not None:
        pairs.append(("Units compared", count(content.effects.n)))
    if content.training is not None and content.training.test:
        first = content.training.test[0]
        pairs.append((f"Hit rate in first {first.k}", share(first.hit_rate)))
    return definitions(pairs, class_="figures") if pairs else None


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
