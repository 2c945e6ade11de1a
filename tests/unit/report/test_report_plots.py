"""Plots show the numbers they were given, and leave no global state behind."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import pytest
from matplotlib.figure import Figure

from truelift.report import plots
from truelift.report.plots.rows import set_aside, stages
from truelift.report.plots.sessions import daily_series
from truelift.report.svg import inline_svg


def texts(figure: Figure) -> str:
    found = [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
    return " | ".join(found)


def draw(name, whole, width="wide"):
    arguments = {
        "rows_funnel": (whole.ingest, whole.clean),
        "sessions_over_time": (whole.sessions,),
        "learning_curve": (whole.training,),
        "ranking_bars": (whole.training,),
        "segment_bars": whole.training.test[:2],
        "sorted_groups": (whole.effects.heterogeneity[0],),
        "targeting_curve": (whole.effects.heterogeneity[0],),
        "confounder_contour": (
            whole.effects.credibility.omitted_variables[0],
            whole.effects.credibility.benchmarks,
        ),
        "placebo_histogram": (whole.effects.credibility.placebos[0],),
        "left_out": (whole.effects.credibility.groups[0],),
    }.get(name, (whole.effects,))
    return getattr(plots, name)(*arguments, width)


@pytest.mark.parametrize("width", ["wide", "narrow"])
@pytest.mark.parametrize("name", plots.__all__)
def test_every_plot_is_a_figure_that_draws_without_pyplot(name, width, whole):
    before = dict(matplotlib.rcParams)
    svg = inline_svg(draw(name, whole, width), "p", "what it shows")
    assert svg.startswith("<svg") and svg.endswith("</svg>")
    assert "what it shows" in svg
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", plots.__all__)
def test_the_narrow_plot_fits_a_phone(name, whole):
    figure = draw(name, whole, "narrow")
    assert figure.get_figwidth() * 96 <= 360 - 24  # CSS pixels of a small phone, less margins


def test_the_forest_labels_every_estimate_with_its_interval(whole):
    shown = texts(plots.effects_forest(whole.effects))
    for label in ("+14.5 [8.4, 20.6]", "+61.0 [51.4, 70.6]", "+0.061 [−0.041, 0.163]"):
        assert label in shown


def test_the_forest_always_shows_zero(whole):
    for axes in plots.effects_forest(whole.effects).axes:
        low, high = axes.get_xlim()
        assert low < 0 < high


def test_the_segments_are_drawn_with_their_users_and_both_rankers(whole):
    shown = texts(plots.segment_bars(*whole.training.test[:2]))
    for label in ("cold users (140)", "tail items (603)", "GRU", "recent popularity"):
        assert label in shown


def test_days_without_sessions_count_zero():
    days, values = daily_series((("2024-02-28", 5), ("2024-03-01", 7)))
    assert [d.isoformat() for d in days] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert values.tolist() == [5, 0, 7]


def test_one_day_one_epoch_and_one_model_still_draw(whole):
    training = replace(
        whole.training, epochs=whole.training.epochs[:1], test=whole.training.test[:1]
    )
    sessions = replace(whole.sessions, per_day=whole.sessions.per_day[:1])
    for figure in (
        plots.learning_curve(training),
        plots.ranking_bars(training),
        plots.sessions_over_time(sessions),
    ):
        assert "<path" in inline_svg(figure, "p", "d")


def test_the_sample_is_a_stage_only_where_there_is_one(whole):
    assert ("In the sample", 73_201) in stages(whole.ingest, whole.clean)
    everyone = replace(whole.ingest, rows_sampled_out=0)
    assert [name for name, _ in stages(everyone, whole.clean)] == [
        "Read from files", "Bronze (raw)", "Silver (clean)",
    ]  # fmt: skip


def test_reasons_are_ordered_by_rows_and_duplicates_are_one_of_them(whole):
    clean = replace(whole.clean, reasons={"user_missing": 3, "time_unreadable": 9}, duplicates=5)
    assert set_aside(clean) == [("time_unreadable", 9), ("duplicate", 5), ("user_missing", 3)]
    assert set_aside(None) == []


def test_a_dollar_sign_in_a_name_is_shown_as_it_is(whole):
    svg = inline_svg(plots.rows_funnel(whole.ingest, whole.clean), "p", "d")
    assert "$5 or $6" in svg.replace("\n", " ")
    assert "&lt;script&gt;" in svg and "<script>" not in svg
