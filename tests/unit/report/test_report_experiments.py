"""The page of experiments: the decision first, and what a statistician asks below it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

import truelift as tl
from truelift.experiments.analysis.results import Experiments
from truelift.report.experiments import write_experiments_page
from truelift.report.plots.experiments import breakdown_forest, looks_path, power_curve
from truelift.report.sections.experiments import EXPERIMENTS, experiments
from truelift.typed import from_plain, to_plain

SPEC = {
    "name": "one-page", "unit": "user", "metrics": {"spend": {"measured_in": "dollars"}, "wait": {}},
    "primary": "spend", "guardrails": {"wait": {"margin": 0.5}}, "time": "day", "dimensions": ["place"],
    "looks": {"method": "pocock", "planned": 2, "units": 800},
}  # fmt: skip


def analysed(users=400, effect=1.0, earlier=()):
    random = np.random.default_rng(2)
    arm = np.where(np.arange(users) % 2 == 0, "control", "treated")
    rows = pa.table({
        "user": np.repeat(np.arange(users), 3), "arm": np.repeat(arm, 3), "day": np.tile([0, 1, 2], users),
        "place": np.where(random.random(3 * users) < 0.5, "<b>shop</b>", "web"),
        "spend": random.standard_normal(3 * users) + effect * np.repeat(arm == "treated", 3),
        "wait": random.standard_normal(3 * users) / 10,
    })  # fmt: skip
    return tl.analyze_experiment(rows, SPEC, earlier)


@pytest.fixture(scope="module")
def found():
    first = analysed(200)
    return Experiments((analysed(400, earlier=first.looks), first))


def test_the_decision_its_reason_and_the_looks_are_on_the_page(found, make_settings):
    page = write_experiments_page(found, make_settings()).read_text()
    for text in ("Ship treated", "every guardrail is kept", "What was decided when", "To check",
                 "Where they stand"):  # fmt: skip
        assert text in page
    assert "&lt;b&gt;shop" in page and "<b>shop" not in page


def test_results_come_back_from_json_as_they_were(found):
    assert from_plain(Experiments, to_plain(found)) == found


def test_a_page_without_experiments_has_no_such_part(content_with):
    assert experiments(content_with()) is None
    assert EXPERIMENTS.figures(content_with()) == {}


def test_the_section_draws_for_any_page_that_has_the_result(content_with, found):
    content = content_with(others=(found,))
    assert "Ship treated" in str(experiments(content))
    assert all(isinstance(draw(), Figure) for draw in EXPERIMENTS.figures(content).values())


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_plots_fit_their_page(found, width):
    design = tl.design_experiment({
        "name": "d", "unit": "user", "metrics": {"spend": {}},
        "design": {"baseline": {"sd": 1.0}, "effect": 0.5},
    })  # fmt: skip
    analysis = found.analyses[0]
    for figure in (
        power_curve(design, width),
        looks_path(analysis, width),
        *(breakdown_forest(b, "spend", width) for b in analysis.breakdowns),
    ):
        assert figure.get_figwidth() * 96 <= (760 if width == "wide" else 336)
