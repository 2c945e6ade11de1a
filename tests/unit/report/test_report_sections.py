"""A section is a row: what it draws, what it logs, which results it reads; others can bring one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from truelift.report.job import logged_figures
from truelift.report.page import render_page
from truelift.report.section import SECTIONS, sections

WEATHER = """
from dataclasses import dataclass

from matplotlib.figure import Figure

from truelift.report.markup import element, section
from truelift.report.section import Section


@dataclass(frozen=True)
class Weather:
    rain: float


def draw(content):
    found = content.result(Weather)
    text = "nobody looked" if found is None else f"{found.rain} mm of rain"
    return section("weather", "What was the weather?", element("p", text))


ROW = Section(
    "weather", "Weather", 75, draw, lambda content: {"sky": lambda: Figure()}, (Weather,)
)
"""


@pytest.fixture
def weather(bring):
    bring(SECTIONS.group, WEATHER, weather="ROW")
    import brought

    return brought.Weather


def test_a_section_of_another_package_stands_in_its_place_and_reads_its_result(
    weather, whole, undrawn
):
    page = render_page(replace(whole, others=(weather(3.5),)))
    assert "3.5 mm of rain" in page
    assert page.index('id="rows"') < page.index('id="weather"') < page.index('id="sessions"')
    assert '<a href="#weather">Weather</a>' in page


def test_a_section_whose_step_has_not_run_says_so(weather, whole, undrawn):
    assert "nobody looked" in render_page(whole)


def test_plots_of_a_section_are_logged(weather, whole):
    assert "sky" in logged_figures(whole)


def test_sections_stand_in_order_and_have_one_place_each():
    orders = [section.order for section in sections()]
    assert orders == sorted(set(orders))
    assert next(section.name for section in sections()) == "answer"
