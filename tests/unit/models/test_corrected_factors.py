"""Factors with corrections for who labels what."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import ConfigError, DataError
from truelift.models.factors.corrected import (
    CORRECTIONS,
    CorrectionOptions,
    LabelledRows,
    exposure_chances,
    fit_corrected,
)


def chosen_rows(
    pull: float, users: int = 400, items: int = 20
) -> tuple[LabelledRows, np.ndarray, np.ndarray]:
    """Labels of what people chose, the likelier to be seen the more liked; chances; truth of items."""
    rng = np.random.default_rng(3)
    liked = np.linspace(0.1, 0.9, items)
    label = rng.random((users, items)) < liked
    chance = np.where(label, 0.1 + pull, 0.1)
    user, item = np.nonzero(rng.random((users, items)) < chance)
    rows = LabelledRows(user, item, label[user, item].astype(float), (users, items))
    return rows, chance[user, item], liked


@pytest.mark.parametrize("correction", ["ips", "snips", "dr"])
def test_with_logged_chances_a_correction_finds_what_all_people_like(correction):
    rows, chances, liked = chosen_rows(0.5)
    options = CorrectionOptions(rank=1, epochs=60, members=1, bias_penalty=0.005, cap=0.05)
    users, items = np.indices(rows.shape)
    means = {}
    for name in ("none", correction):
        model = fit_corrected(
            rows, CorrectionOptions(**{**options.__dict__, "correction": name}), chances
        )
        means[name] = model.chances(users.ravel(), items.ravel()).mean()
    truth = liked.mean()
    assert means["none"] - truth > 0.15
    assert abs(means[correction] - truth) < 0.6 * (means["none"] - truth)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_every_correction_gives_chances_and_the_same_ones_again(correction):
    rows, chances, _ = chosen_rows(0.2, users=30, items=8)
    options = CorrectionOptions(correction=correction, epochs=3, members=2)
    first, second = (
        fit_corrected(rows, options, chances).chances(rows.users, rows.items) for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert np.all((first > 0) & (first < 1))


def test_chances_by_popularity_are_users_times_items_over_rows():
    rows = LabelledRows(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([1.0, 0.0, 1.0]), (2, 2))
    assert exposure_chances(rows) == pytest.approx([1.0, 2 / 3, 2 / 3])


def test_an_item_twice_with_one_user_is_refused():
    rows = LabelledRows(np.zeros(2, int), np.zeros(2, int), np.ones(2), (1, 1))
    with pytest.raises(DataError, match="twice"):
        fit_corrected(rows, CorrectionOptions())


def test_an_unknown_correction_names_those_there_are():
    with pytest.raises(ConfigError, match="snips"):
        CorrectionOptions(correction="magic")
