"""Nouns of a data set are labels of its specification: effects and report know none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import truelift
from truelift.effects.job import as_specified
from truelift.effects.telling.names import Nouns, plural_of, with_article
from truelift.errors import ConfigError
from truelift.features.panels.results import PanelBuilt
from truelift.settings import EffectOptions

LIB = Path(truelift.__file__).parent
NOUNS = re.compile("household|campaign|spend", re.IGNORECASE)
# What a budget spends is no outcome of a data set.
OF_BUDGETS = ("report/plots/policy.py", "report/sections/policy.py")


@pytest.mark.parametrize("room", ["effects", "report"])
def test_no_noun_of_a_data_set_stands_in_the_code(room):
    files = [p for p in (LIB / room).rglob("*") if p.suffix in (".py", ".css")]
    assert len(files) > 20
    found = {
        f"{path.relative_to(LIB)}:{number}": line.strip()
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if NOUNS.search(
            line if str(path.relative_to(LIB)) not in OF_BUDGETS else re.sub(r"\bspend\b", "", line)
        )
    }
    assert found == {}


def panel(**changes) -> PanelBuilt:
    told = {
        "treatment": "arm", "occasion": "week", "cluster": "product", "control": "none",
        "outcomes": ("y_units",), "measured_in": {"y_units": "units a week"},
        "labels": {"subject": "product", "treatment": "promotion"}, **changes,
    }  # fmt: skip
    return PanelBuilt("gold.panel", "/p", 0, 9, {"none": 5, "mail": 4}, 2, {}, {}, "hash", **told)


def test_a_panel_says_its_columns_labels_and_units_of_measurement():
    found = as_specified(EffectOptions(), panel())
    assert (found.treatment, found.control, found.cluster) == ("arm", "none", "product")
    assert (found.outcomes, found.credibility.leave_out) == (("y_units",), "week")
    assert found.labels == {"subject": "product", "treatment": "promotion"}
    assert found.measured_in == {"y_units": "units a week"}


def test_what_the_options_say_themselves_goes_first():
    own = EffectOptions(
        outcomes=("y_sales",), leave_out="shop", labels={"subject": "shop"},
        measured_in={"y_sales": "francs"},
    )  # fmt: skip
    found = as_specified(own, panel())
    assert (found.outcomes, found.credibility.leave_out, found.labels) == (
        ("y_sales",),
        "shop",
        own.labels,
    )
    assert found.measured_in == {"y_units": "units a week", "y_sales": "francs"}


def test_without_a_panel_the_options_stay():
    options = EffectOptions(treatment="mailed")
    assert as_specified(options, None) is options
    assert as_specified(options, PanelBuilt.none("gold.panel", "no exposures")) is options


def test_a_label_that_nothing_reads_is_refused():
    with pytest.raises(ConfigError, match=r"effects\.labels: found \['user'\], expected some of"):
        EffectOptions(labels={"user": "shop"})


def test_nouns_have_plurals_and_articles():
    assert [plural_of(noun) for noun in ("user", "party", "box", "day")] == [
        "users", "parties", "boxes", "days",
    ]  # fmt: skip
    assert [with_article(noun) for noun in ("campaign", "offer", "user")] == [
        "a campaign", "an offer", "a user",
    ]  # fmt: skip
    assert Nouns("shop", "rebate").over == "per shop and rebate"
