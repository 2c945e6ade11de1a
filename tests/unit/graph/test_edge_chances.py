"""Chances that new samples show an edge, from shares of halves of one sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import truelift as tl
from tests.unit.graph.test_required_arrows import rows
from truelift.graph.discovery.stability import chances


def test_chances_keep_their_word_where_shares_are_too_sure():
    """Of 30,000 pairs: a third with evidence around the bar, the others with none."""
    rng = np.random.default_rng(0)
    true = np.where(rng.random(30_000) < 1 / 3, rng.normal(0.0, 1.5, 30_000), -4.0)
    here = true + rng.normal(size=30_000)  # what this sample happened to show
    shares = rng.binomial(100, norm.cdf(here)) / 100
    came = norm.cdf(true / np.sqrt(2))
    told = chances(shares, 100)

    def worst(said: np.ndarray) -> float:
        place = np.clip((said * 10).astype(int), 0, 9)
        return max(abs(said[place == b].mean() - came[place == b].mean()) for b in range(10))

    assert worst(shares) > 0.1
    assert worst(told) < 0.05


@settings(max_examples=20)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(0, 10**6))
def test_chances_rise_with_shares_and_do_not_hang_on_the_order_of_pairs(counts, seed):
    shares = np.array(counts) / 20
    told = chances(shares, 20)
    assert ((told >= 0) & (told <= 1)).all()
    rising = told[np.argsort(shares, kind="stable")]
    assert (np.diff(rising) >= -1e-9).all()
    mixed = np.random.default_rng(seed).permutation(len(shares))
    assert chances(shares[mixed], 20) == pytest.approx(told[mixed], abs=1e-9)


def test_edges_have_chances_and_what_is_known_beforehand_has_none_of_its_own():
    found = tl.discover(
        rows(600), share=1.0, graphs=20, tiers=[["a", "b", "d"], "c"], required=["a -> b"]
    )
    edges = {(e.first, e.second): e for e in found.edges}
    assert edges["a", "b"].chance == 1.0
    assert 0.5 < edges["b", "c"].chance < 1.0 and edges["b", "c"].frequency == 1.0
    assert "of new samples" in str(found)
    assert all(e.chance is None for e in tl.discover(rows(600), share=1.0, graphs=0).edges)
