"""The page is one well-formed file that says everything, also what is missing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields, replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from truelift.features.panels.results import PanelBuilt
from truelift.report.content import ReportContent
from truelift.report.page import render_page
from truelift.report.section import sections

VOID = {"meta", "br", "hr", "link", "img", "input"}
PARTS = ("ingest", "clean", "sessions", "panel", "training", "effects", "recommend")


class Outline(HTMLParser):
    """Elements of a page; remembers what is not closed, links, ids and visible text."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.text: list[str] = []
        self.labels: list[dict[str, str | None]] = []
        self.feed(page)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self.open]

    def handle_starttag(self, tag, attrs):
        self._see(tag, dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._see(tag, dict(attrs))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings.append((int(self.open[-1][1]), data))

    def _see(self, tag, attributes):
        self.counts[tag] += 1
        if attributes.get("id"):
            self.ids[attributes["id"]] += 1
        if "href" in attributes:
            self.links.append(attributes["href"])
        if "src" in attributes:
            self.sources.append(attributes["src"])
        if tag in ("svg", "table"):
            self.labels.append({"tag": tag, **attributes})


def words(page: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Outline(page).text))


@pytest.fixture(scope="module")
def page(whole) -> str:
    return render_page(whole)


@pytest.fixture(scope="module")
def outline(page) -> Outline:
    return Outline(page)


def test_every_element_is_closed_in_order(outline):
    assert outline.faults == []


def test_no_id_occurs_twice_although_every_plot_is_drawn_for_two_widths(outline):
    assert [name for name, n in outline.ids.items() if n > 1] == []


def test_every_link_inside_the_page_has_a_target(outline):
    inside = {link[1:] for link in outline.links if link.startswith("#")}
    assert inside
    assert inside - set(outline.ids) == set()


def test_nothing_is_fetched_from_outside(page, outline):
    assert outline.sources == []
    assert outline.counts["script"] == outline.counts["link"] == outline.counts["img"] == 0
    outside = [link for link in outline.links if not link.startswith("#")]
    assert outside == ["data_docs/index.html"]
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "http" not in page


def test_the_page_is_small(page):
    assert len(page.encode()) < 1_000_000


def test_every_section_of_the_contents_is_there_with_a_heading(outline, whole):
    # Those that read results of commands alone are there where the command was run, and what lies beyond
    # averages where it was asked for.
    told = (s for s in sections() if not s.reads or any(whole.result(kind) for kind in s.reads))
    names = [s.name for s in told if s.name != "beyond" or s.draw(whole) is not None]
    assert {"answer", "trust", "ranking", "rows", "pedigree"} <= set(names)
    assert [name for name in names if outline.ids[name] == 0] == []
    assert sum(rank == 1 for rank, _ in outline.headings) == 1
    assert sum(rank == 2 for rank, _ in outline.headings) == len(names)


def test_heading_ranks_do_not_jump(outline):
    ranks = [rank for rank, _ in outline.headings]
    assert all(after <= before + 1 for before, after in pairwise(ranks))


def test_every_plot_has_a_description_and_every_table_a_caption(page, outline):
    plots = [label for label in outline.labels if label["tag"] == "svg"]
    assert len(plots) == 28  # fourteen plots, for two widths each
    for plot in plots:
        assert plot["role"] == "img"
        assert outline.ids[plot["aria-labelledby"]] == 1
    assert outline.counts["figure"] == outline.counts["figcaption"] == 14
    assert outline.counts["table"] == outline.counts["caption"] > 0


def test_numbers_are_formatted_for_people(page):
    text = words(page)
    for expected in (
        "1,469,307 rows read from 1 file",
        "bronze 73,201 = silver 72,400 + quarantine 790 + duplicates 11",
        "14.5 per user and campaign (95% interval 8.4 to 20.6)",
        "6 November 2017",
        "152,900",
        "1 min 39 s",
    ):
        assert expected in text


def test_text_from_data_cannot_become_markup(page, outline, hostile):
    assert outline.counts["script"] == 0
    assert hostile not in page
    assert page.count("&lt;script&gt;") >= 2  # an item's name and a reason
    assert "77 &amp; sons" in page


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_did_not_run_is_stated_and_the_page_stays_whole(content_with, part):
    page = render_page(content_with(**{part: None}))
    assert Outline(page).faults == []
    if part not in ("panel", "ingest"):
        assert "not part of this run" in words(page)


@pytest.mark.usefixtures("undrawn")
def test_a_page_without_any_result_names_every_missing_step(empty_content):
    page = render_page(empty_content)
    text = words(page)
    assert Outline(page).faults == []
    for step in ("estimate_effects", "train_sequence", "recommend", "ingest", "sessionize"):
        assert step in text
    assert "No effect was estimated." in text


@pytest.mark.usefixtures("undrawn")
def test_the_reason_for_a_skipped_panel_is_the_headline(content_with):
    panel = PanelBuilt.none("gold.panel", "the source names no exposures.")
    text = words(render_page(content_with(effects=None, panel=panel)))
    assert "No effect was estimated. There is no panel" in text
    assert "the source names no exposures." in text


@pytest.mark.usefixtures("undrawn")
def test_rows_that_do_not_add_up_are_said_so(content_with):
    clean = replace(content_with().clean, silver=72_000)
    assert "Unaccounted: 400 rows" in words(render_page(content_with(clean=clean)))


@pytest.mark.usefixtures("undrawn")
def test_labelled_rows_and_dropped_covariates_are_not_left_out(content_with):
    text = words(render_page(content_with()))
    assert "Unusual rows that were kept and labelled: bulk (12) and night (4)." in text
    assert "1 covariate left out of the models always one: constant" in text


@pytest.mark.usefixtures("undrawn")
def test_logs_without_campaigns_are_not_asked_about_campaigns(content_with):
    with_effects, without = (
        words(render_page(content_with(**change))) for change in ({}, {"effects": None})
    )
    assert "Do the campaigns change what users do" in with_effects
    assert "What do people do, and what comes next?" in without
    assert "Do the campaigns" not in without


@pytest.mark.usefixtures("undrawn")
def test_a_broken_contract_is_said_so(content_with):
    clean = replace(content_with().clean, contract_passed=False)
    assert "The data contract on silver is broken" in words(
        render_page(content_with(clean=clean, data_docs=None))
    )


@pytest.mark.usefixtures("undrawn")
def test_a_step_that_read_a_replaced_table_is_named(content_with, record_of):
    records = (
        record_of("clean", {}, {"silver.events": 2}),
        record_of("sessionize", {"silver.events": 1}, {"silver.sessions": 1}),
    )
    text = words(render_page(content_with(pedigree=records)))
    assert "sessionize read silver.events version 1; clean has written version 2 since." in text
    assert "older tables" not in words(render_page(content_with()))


def test_empty_series_leave_no_broken_plots(content_with):
    whole = content_with()
    page = render_page(
        content_with(
            sessions=replace(whole.sessions, per_day=(), agreement=None, sessions=0, events=0),
            training=replace(whole.training, epochs=(), test=()),
            effects=replace(
                whole.effects, overlaps={"1": replace(whole.effects.overlap, balance=())}
            ),
            recommend=replace(whole.recommend, examples=()),
            pedigree=(),
        )
    )
    assert Outline(page).faults == []
    assert words(page).count("not part of this run") >= 6


def test_the_same_content_gives_the_same_page(content_with, page):
    assert render_page(content_with()) == page


@pytest.mark.usefixtures("undrawn")
def test_every_field_of_the_content_is_used(content_with):
    # A result that nobody shows would be left out silently.
    whole = render_page(content_with())
    # Others' results are read by sections of their own: test_report_sections.
    names = [f.name for f in fields(ReportContent) if f.name != "others"]
    changed = {
        "dataset": "x", "generated_at": "x", "configuration": "x", "panel": None,
        "pedigree": (), "data_docs": None, "version": "x", "sample": 1.0,
        "unread": ("ingest: a field that this version does not know was left out",),
    }  # fmt: skip
    for name in names:
        assert render_page(content_with(**{name: changed.get(name)})) != whole, name


def test_expectations_that_only_warn_are_listed(whole, undrawn):
    warned = replace(whole.clean, warnings=("new_rows is 3, expected at least 800",))
    text = " ".join(Outline(render_page(replace(whole, clean=warned))).text)
    assert "do not stop the job" in text
    assert "new_rows is 3, expected at least 800" in text
    assert "do not stop the job" not in " ".join(Outline(render_page(whole)).text)
