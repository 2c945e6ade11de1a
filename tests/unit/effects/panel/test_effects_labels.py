"""Labels as people write them: in a spec, in a column of another type, for the control."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.arms import Levels, arms_of, label_in, label_of, looks_like_control
from truelift.errors import ConfigError, DataError
from truelift.settings import EffectOptions


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (True, "1"), (2.0, "2"), (2.5, "2.5"), (decimal.Decimal("1.00"), "1"), ("01", "01"),
        (datetime.date(2024, 3, 1), "2024-03-01"),
        (datetime.datetime(2024, 3, 1, tzinfo=datetime.timezone.utc), "2024-03-01"),
        (datetime.datetime(2024, 3, 1, 7, 30), "2024-03-01 07:30:00"),
    ],
)  # fmt: skip
def test_a_value_is_labelled_as_people_write_it(value, label):
    assert label_of(value) == label


@pytest.mark.parametrize(
    ("wanted", "labels", "found"),
    [
        ("no", ["no", "yes"], "no"), ("no", ["0", "1"], "0"), ("True", ["0", "1"], "1"),
        ("1.0", ["0", "1"], "1"), ("1", ["00", "01"], "01"), ("Mail", ["mail", "none"], "mail"),
        ("off", ["a", "b"], None), ("mail", ["Mail", "MAIL"], None), ("2", ["0", "1"], None),
    ],
)  # fmt: skip
def test_a_label_is_found_by_its_text_its_number_or_its_truth(wanted, labels, found):
    assert label_in(wanted, labels) == found


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        (pa.array(["1", "0", None, "2", "yes"]), [1, 0, -1, -1, 1]),
        (pa.array([True, False, None]), [1, 0, -1]),
        (pa.array([1.0, 0.0, float("nan"), 0.5]), [1, 0, -1, -1]),
        (pa.array(["1", "0", None]).dictionary_encode(), [1, 0, -1]),
        (pa.array([decimal.Decimal("1.0"), decimal.Decimal("0.0")]), [1, 0]),
        (pa.array([], pa.string()), []),
    ],
)
def test_values_of_another_type_count_as_what_they_are_written_like(column, codes):
    batch = pa.record_batch({"chosen": column})
    assert Levels("chosen", (0, 1)).codes(batch).tolist() == codes


def test_texts_and_flags_choose_among_numbered_arms():
    panel = simulate_panel(seed=2, units=600, clusters=120)
    chosen = panel["x_1"].to_numpy() > 3
    options = {"outcomes": ("y_spend",), "estimands": ("policy value",), "policies": {"p": "q"}}
    values = []
    for column in (chosen.astype(np.int32), np.where(chosen, "1", "0"), chosen):
        table = with_column(panel, "q", column)
        found = estimate_panel(in_buckets(table), EffectOptions(**options)).result
        values.append([(e.estimate, e.standard_error) for e in found.estimates])
    assert values[0] == values[1] == values[2]


def test_truth_values_are_arms_and_yes_and_no_name_them():
    panel = simulate_panel(seed=2, units=600, clusters=120)
    flags = with_column(panel, "treated", panel["treated"].to_numpy() == 1)
    chances = {"yes": "0.4", "no": "0.6"}
    found, expected = (
        estimate_panel(in_buckets(table), EffectOptions(**options)).result
        for table, options in (
            (flags, {"control": "no", "propensity": chances}),
            (panel, {"propensity": {"1": "0.4", "0": "0.6"}}),
        )
    )
    assert found.arms == expected.arms
    assert [e.estimate for e in found.estimates] == [e.estimate for e in expected.estimates]


def test_chances_of_what_is_no_arm_or_of_one_arm_twice_are_refused():
    panel = simulate_panel(seed=2, units=600, clusters=120)
    for chances, why in (({"9": ".5"}, "9 is no arm"), ({"1": ".5", "yes": ".5"}, "one arm twice")):
        with pytest.raises(ConfigError, match=why):
            estimate_panel(in_buckets(panel), EffectOptions(propensity=chances))


@pytest.mark.parametrize(
    "label", ["control", "Control group", "none", "placebo", "no", "No E-Mail", "no_mail", "0",
              "0.0", "$0 off", "0%", "holdout", "untreated", "Baseline", "without coupon"]
)  # fmt: skip
def test_labels_of_units_without_a_treatment_are_known(label):
    assert looks_like_control(label)


@pytest.mark.parametrize("label", ["mail", "10", "a", "notice", "nonstop", "treated", "30% off"])
def test_other_labels_are_not(label):
    assert not looks_like_control(label)


@pytest.mark.parametrize(
    ("labels", "hinted"),
    [
        (("Mens E-Mail", "No E-Mail", "Womens E-Mail"), "No E-Mail"),
        (("a", "control", "b"), "control"),
        (("drug", "placebo"), "placebo"),
        (("control", "drug"), None),
        (("a", "b"), None),
    ],
)
def test_a_label_that_looks_like_the_control_is_hinted_at_where_another_is_it(labels, hinted):
    panel = simulate_panel(seed=2, units=600, clusters=120)
    table = with_column(panel, "arm", np.array(labels)[np.arange(600) % len(labels)])
    found = estimate_panel(in_buckets(table), EffectOptions(treatment="arm")).result
    texts = [c.text for c in found.cautions if c.text.startswith("The control is")]
    assert len(texts) == (hinted is not None)
    if hinted is not None:
        assert f"set effects.control to '{hinted}'" in texts[0]
        told = EffectOptions(treatment="arm", control=hinted)
        assert not estimate_panel(in_buckets(table), told).result.cautions


def test_a_zero_that_is_not_the_smallest_is_hinted_at():
    levels = arms_of("dose", [-1, 0, 1], (), None, "panel")
    assert levels.labels == ("-1", "0", "1")
    assert looks_like_control("0") and not looks_like_control("-1")


@pytest.mark.parametrize(
    "labels", [("none", "Mail", "mail"), ("none", "mail", "mail "), ("none", "e-mail", "E mail")]
)
def test_arms_that_are_spelt_alike_are_named(labels):
    panel = simulate_panel(seed=2, units=600, clusters=120)
    table = with_column(panel, "arm", np.array(labels)[np.arange(600) % 3])
    found = estimate_panel(in_buckets(table), EffectOptions(treatment="arm", control="none")).result
    (text,) = [c.text for c in found.cautions]
    assert f"{labels[1]!r}" in text and f"{labels[2]!r}" in text and "write them alike" in text


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("control", [None, ""])
def test_a_blank_is_no_arm(blank, control):
    with pytest.raises(DataError, match=r"some rows are blank.* `arm` not in"):
        arms_of("arm", [blank, "mail", "sms"], (), control, "table")
    assert arms_of("arm", [blank, "mail", "sms"], ("sms", "mail"), None, "table").labels == (
        "sms",
        "mail",
    )
