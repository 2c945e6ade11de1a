"""Factors with corrections for who labels what."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import ConfigError, DataError
from truelift.models.factors import seen
from truelift.models.factors.bayesian import Elsewhere, sample_factors
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


@pytest.mark.parametrize("correction", ["ips", "snips", "dr", "mrdr"])
def test_with_logged_chances_a_correction_finds_what_all_people_like(correction):
    rows, chances, liked = chosen_rows(0.5)
    options = CorrectionOptions(rank=1, sweeps=60, kept=20, cap=0.05)
    users, items = np.indices(rows.shape)
    means = {}
    for name in ("none", correction):
        model = fit_corrected(
            rows, CorrectionOptions(**{**options.__dict__, "correction": name}), chances
        )
        means[name] = model.labels(users.ravel(), items.ravel()).mean()
    truth = liked.mean()
    assert means["none"] - truth > 0.15
    assert abs(means[correction] - truth) < 0.6 * (means["none"] - truth)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_every_correction_gives_chances_and_the_same_ones_again(correction):
    rows, chances, _ = chosen_rows(0.2, users=30, items=8)
    options = CorrectionOptions(correction=correction, sweeps=6, kept=3)
    first, second = (
        fit_corrected(rows, options, chances).chances(rows.users, rows.items) for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert np.all((first > 0) & (first < 1))


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_where_all_was_seen_no_correction_falls_over_it(correction):
    users, items = (x.ravel() for x in np.indices((6, 5)))
    rows = LabelledRows(users, items, (users + items) % 2 * 1.0, (6, 5))
    model = fit_corrected(
        rows, CorrectionOptions(correction=correction, sweeps=6, kept=2), np.ones(30)
    )
    assert np.isfinite(model.labels(users, items)).all()


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


def test_parts_of_a_model_multiply_to_its_labels():
    rows, _, _ = chosen_rows(0.2, users=12, items=8)
    model = fit_corrected(rows, CorrectionOptions(correction="seen", sweeps=6, kept=3))
    left, right = model.parts()
    users, items = np.indices(rows.shape)
    said = model.labels(users.ravel(), items.ravel()).reshape(rows.shape)
    assert left @ right.T == pytest.approx(said)


def drawn(features: bool, seed: int = 5) -> float:
    """Correlation of what is said of items that nobody labelled with their truth."""
    rng = np.random.default_rng(seed)
    shape, kind = (80, 60), rng.normal(size=(60, 1))
    truth = kind.ravel() + 0.3 * rng.normal(size=60)
    user, item = np.nonzero(rng.random(shape) < 0.3)
    there = item < 40
    user, item = user[there], item[there]
    label = truth[item] + rng.normal(size=len(item))
    sides = np.zeros((80, 0)), kind if features else np.zeros((60, 0))
    draws = sample_factors(
        user, item, label, np.ones(len(item)), shape, sides, rank=2, sweeps=60, kept=20, seed=1
    )
    said = np.mean([d.items[40:, 0] for d in draws], axis=0)
    return float(np.corrcoef(said, truth[40:])[0, 1])


def test_features_say_what_items_without_a_label_are_like():
    assert drawn(features=True) > 0.9
    assert abs(drawn(features=False)) < 0.5


def test_labels_of_all_cells_by_sums_are_those_of_as_many_rows():
    """The sampler with a pseudo-label in every cell, by the catalogue's sums and as rows: the same draws."""
    rng = np.random.default_rng(2)
    shape = (9, 7)
    users, items = (x.ravel() for x in np.indices(shape))
    there = rng.random(63) < 0.4
    rows, none = np.flatnonzero(there), (np.zeros((9, 0)), np.zeros((7, 0)))
    label = rng.normal(size=63)
    left, right = rng.normal(size=(9, 2)), rng.normal(size=(7, 2))
    pseudo = (left @ right.T).ravel()
    # Level and spread come from rows: both kinds of cells have the same here.
    slope = label[there].std() / pseudo[~there].std()
    shift = label[there].mean() - slope * pseudo[~there].mean()
    filled = Elsewhere(
        1.0,
        np.column_stack([slope * left, np.full(9, shift)]),
        np.column_stack([right, np.ones(7)]),
    )
    asked = {"rank": 2, "sweeps": 1, "kept": 1, "seed": 3}
    one = sample_factors(
        users[rows], items[rows], label[rows], np.ones(len(rows)), shape, none, **asked,
        elsewhere=filled,
    )[0]  # fmt: skip
    whole = np.where(there, label, slope * pseudo + shift)
    other = sample_factors(users, items, whole, np.ones(63), shape, none, **asked)[0]
    assert one.users == pytest.approx(other.users)
    assert one.items == pytest.approx(other.items)


def test_axes_of_what_was_seen_are_those_of_the_whole_table_however_they_are_found(monkeypatch):
    rng = np.random.default_rng(6)
    groups = rng.integers(2, size=60)[:, None] == rng.integers(2, size=40)
    users, items = np.nonzero(rng.random((60, 40)) < np.where(groups, 0.5, 0.1))
    found = []
    for dense in (10_000, 0):
        monkeypatch.setattr(seen, "DENSE_CELLS", dense)
        found.append(seen.seen_model(users, items, (60, 40), 3).chances(users, items))
    assert found[0] == pytest.approx(found[1])


def test_chances_by_axes_follow_who_sees_what():
    rng = np.random.default_rng(6)
    groups = rng.integers(2, size=60)[:, None] == rng.integers(2, size=40)
    user, item = np.nonzero(rng.random((60, 40)) < np.where(groups, 0.5, 0.1))
    rows = LabelledRows(user, item, np.ones(len(user)), (60, 40))
    users, items = (x.ravel() for x in np.indices((60, 40)))
    every = LabelledRows(users, items, np.ones(2400), (60, 40))
    chance = exposure_chances(rows, "factors", CorrectionOptions(axes=1), at=every)
    own = groups[users, items]
    assert chance[own].mean() == pytest.approx(0.5, abs=0.05)
    assert chance[~own].mean() == pytest.approx(0.1, abs=0.05)


def test_where_all_was_seen_there_is_nothing_to_tell_people_apart_by():
    users, items = (x.ravel() for x in np.indices((6, 5)))
    assert seen.seen_model(users, items, (6, 5), 2).chances(users, items) == pytest.approx(1.0)
