"""Evaluation as sums: equal however the users are shared out, and equal to the plain statistics."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from truelift.errors import DataError
from truelift.evaluation.evaluator import EvaluationOptions, Evaluator, without
from truelift.evaluation.finish import Finish
from truelift.evaluation.measures import Catalogue
from truelift.evaluation.sums import add_all
from truelift.models.sequence.histories import Histories, ItemSets

ITEMS = 30
OPTIONS = EvaluationOptions(top_k=5, cutoffs=(1, 10), step="event")


class Noise:
    """Scores that depend on the user alone, so that batches cannot matter."""

    def __init__(self, seed: int):
        self.seed = seed

    def scores(self, histories):
        rows = [
            np.random.default_rng([self.seed, int(u[1:])]).integers(0, 12, ITEMS + 1)
            for u in histories.users
        ]
        return np.array(rows, dtype=np.float32).reshape(len(histories), ITEMS + 1)


RANKERS = {"model": Noise(1), "other": Noise(2), "third": Noise(3)}
POPULARITY = np.random.default_rng(0).integers(0, 40, ITEMS + 1).astype(float)
CATALOGUE = Catalogue(POPULARITY, np.arange(ITEMS + 1) % 4)
EVALUATOR = Evaluator(RANKERS, CATALOGUE, OPTIONS, losses=("model",))


def people(count: int, rows_of_each: int = 1, seed: int = 0) -> tuple[Histories, ItemSets]:
    """Users with random pasts and one to three wanted items a row."""
    generator = np.random.default_rng(seed)
    pasts, wanted, users = [], [], []
    for user in range(count):
        for _ in range(rows_of_each):
            users.append(f"u{user}")
            pasts.append(generator.integers(1, ITEMS + 1, generator.integers(1, 70)))
            size = generator.integers(1, 4)
            wanted.append(np.sort(generator.choice(np.arange(1, ITEMS + 1), size, replace=False)))
    items = np.concatenate(pasts).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pasts])])
    steps = np.arange(len(items), dtype=np.int64)
    histories = Histories(
        np.array(users, dtype=object), offsets, items, steps, steps.astype(np.int32)
    )
    sizes = np.concatenate([[0], np.cumsum([len(w) for w in wanted])])
    return histories, ItemSets(sizes, np.concatenate(wanted).astype(np.int32))


def summed(evaluator, *parts):
    states = []
    for past, relevant in parts:
        state = evaluator.layout.zeros()
        evaluator.add(state, past, relevant)
        states.append(state)
    return add_all(states)


def part(whole, start, stop):
    past, relevant = whole
    chosen = np.zeros(len(past), dtype=bool)
    chosen[start:stop] = True
    return past.slice(start, stop), relevant.take(chosen)


def one_by_one(evaluator, whole, name, k, ranker):
    """The metric of every row, from an evaluation of that row alone."""
    values = []
    for row in range(len(whole[0])):
        state = summed(evaluator, part(whole, row, row + 1))
        values.append(Finish(evaluator.layout, state, 5).mean(ranker, name, k))
    return np.array(values)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 600), max_size=4), st.sampled_from(["keep", "drop"]))
def test_the_sums_are_equal_to_the_last_bit_however_the_users_are_shared_out(cuts, seen_items):
    evaluator = replace(EVALUATOR, options=replace(OPTIONS, seen_items=seen_items))
    everyone = people(600)
    bounds = sorted({0, 600, *cuts})
    parts = [part(everyone, a, b) for a, b in pairwise(bounds)]
    together, shared = summed(evaluator, everyone), summed(evaluator, *parts)
    for name, value in together.items():
        np.testing.assert_array_equal(shared[name], value, err_msg=name)


def test_the_interval_is_students_over_users():
    everyone = people(40)
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, everyone), 5)
    values = one_by_one(EVALUATOR, everyone, "ndcg", 5, "model")
    found = finish.measure("model", "ndcg", 5)
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert found.value == pytest.approx(values.mean(), abs=1e-10)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=1e-9)


def test_a_metric_beyond_one_has_its_interval_in_its_own_unit():
    everyone = people(40)
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, everyone), 5)
    values = one_by_one(EVALUATOR, everyone, "novelty", 5, "other")
    found = finish.measure("other", "novelty", 5)
    assert values.mean() > 2
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=1e-8)


def test_the_difference_is_the_paired_t_test():
    everyone = people(50)
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, everyone), 5)
    one, other = (one_by_one(EVALUATOR, everyone, "ndcg", 5, r) for r in ("model", "third"))
    test = stats.ttest_rel(one, other)
    found = finish.difference("model", "third", "ndcg", 5)
    interval = test.confidence_interval(0.95)
    assert found.mean == pytest.approx((one - other).mean(), abs=1e-10)
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-6)
    assert (found.ci_lower, found.ci_upper) == pytest.approx(
        (interval.low, interval.high), abs=1e-8
    )


def test_several_rows_of_a_user_are_one_cluster():
    everyone = people(30, rows_of_each=4)
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, everyone), 5)
    values = one_by_one(EVALUATOR, everyone, "hit_rate", 5, "model").reshape(30, 4)
    # With as many rows for each user, the mean's error is that of the users' means.
    expected = stats.sem(values.mean(axis=1))
    found = finish.measure("model", "hit_rate", 5)
    assert finish.users() == 30
    half = (found.ci_upper - found.ci_lower) / 2
    assert half / stats.t.ppf(0.975, 29) == pytest.approx(expected, rel=1e-6)


def test_a_ranker_does_not_differ_from_itself():
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, people(20)), 5)
    found = finish.difference("model", "model", "ndcg", 5)
    assert (found.mean, found.p_value) == (0.0, 1.0)


def test_the_best_baseline_has_no_difference_and_the_others_have():
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, people(20)), 5)
    best = finish.best(("other", "third"))
    assert finish.metrics(best, best).differences == ()
    assert {d.versus for d in finish.metrics("model", best).differences} == {best}


def test_user_segments_split_the_users_and_item_segments_the_wanted_items():
    everyone = people(300)
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, everyone), 5)
    found = {s.segment: s for s in finish.metrics("model").segments}
    lengths = np.diff(everyone[0].offsets)
    assert found["cold users"].users == np.count_nonzero(lengths < 5)
    assert found["long-standing users"].users == np.count_nonzero(lengths >= 50)
    cold = POPULARITY[everyone[1].items] < 5
    owner = np.repeat(np.arange(300), everyone[1].sizes)
    assert found["cold items"].users == len(set(owner[cold]))


def test_the_users_segments_average_to_the_whole():
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, people(200)), 5)
    result = finish.metrics("model")
    parts = [s for s in result.segments if s.segment.endswith("users")]
    mean = sum(s.users * s.measures[0].value for s in parts) / sum(s.users for s in parts)
    assert mean == pytest.approx(result.ndcg, abs=1e-12)


def test_newcomers_are_a_segment_of_their_own_and_change_nothing_else():
    known, others = people(40), people(30, seed=5)
    new = others[0].keep(np.zeros(len(others[0].items), dtype=bool)), others[1]
    without_them = summed(EVALUATOR, known)
    state = {name: value.copy() for name, value in without_them.items()}
    EVALUATOR.add_newcomers(state, *new)
    finish = Finish(EVALUATOR.layout, state, 5)
    (segment,) = (s for s in finish.metrics("model").segments if s.segment == "newcomers")
    alone = Finish(EVALUATOR.layout, summed(EVALUATOR, new), 5)
    assert segment.users == 30
    assert segment.measures[0] == alone.measure("model", segment.measures[0].name, 5)
    before = Finish(EVALUATOR.layout, without_them, 5).metrics("model")
    after = finish.metrics("model")
    assert replace(after, segments=after.segments[:-1]) == before


def test_dropping_leaves_out_users_who_want_only_what_they_know():
    past, relevant = people(60)
    evaluator = replace(EVALUATOR, options=replace(OPTIONS, seen_items="drop"))
    state = summed(evaluator, (past, relevant))
    fresh = without(relevant, past.distinct_items()).sizes
    assert state["users"][0] == np.count_nonzero(fresh)
    assert state["left_out"][0] == np.count_nonzero(fresh == 0) > 0


def test_lists_never_show_a_seen_item_where_those_are_dropped():
    evaluator = replace(EVALUATOR, options=replace(OPTIONS, seen_items="drop"))
    past, relevant = people(1)
    state = summed(evaluator, (past, relevant))
    assert not state["exposure"][:, np.unique(past.items)].any()


def test_sampled_metrics_come_only_on_request_and_do_not_depend_on_the_batch():
    assert not any(name.startswith("sampled") for name, _ in EVALUATOR.layout.metrics)
    asked = replace(EVALUATOR, options=replace(OPTIONS, sampled_candidates=7))
    everyone = people(30)
    parts = [part(everyone, a, a + 10) for a in (0, 10, 20)]
    together, shared = summed(asked, everyone), summed(asked, *parts)
    np.testing.assert_array_equal(together["cross"], shared["cross"])
    finish = Finish(asked.layout, together, 5)
    full, sampled = (finish.mean("model", n, 5) for n in ("ndcg", "sampled_ndcg"))
    assert sampled > full


def test_sampling_the_whole_catalogue_is_the_full_ranking():
    asked = replace(EVALUATOR, options=replace(OPTIONS, sampled_candidates=ITEMS))
    finish = Finish(asked.layout, summed(asked, people(30)), 5)
    for name in ("ndcg", "mrr", "auc"):
        k = None if name == "auc" else 5
        assert finish.mean("model", f"sampled_{name}", k) == finish.mean("model", name, k)


def test_accuracy_is_the_share_of_first_places():
    asked = replace(EVALUATOR, options=replace(OPTIONS, accuracy=True))
    finish = Finish(asked.layout, summed(asked, people(80)), 5)
    assert finish.mean("model", "accuracy", None) == finish.mean("model", "hit_rate", 1)


def test_the_loss_is_the_mean_cross_entropy():
    everyone = people(20)
    scores = RANKERS["model"].scores(everyone[0])[:, 1:].astype(float)
    chance = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    past, relevant = everyone
    expected = np.mean(
        [-chance[u, relevant.items[relevant.offsets[u] : relevant.offsets[u + 1]] - 1].mean()
         for u in range(len(past))]
    )  # fmt: skip
    finish = Finish(EVALUATOR.layout, summed(EVALUATOR, everyone), 5)
    assert finish.loss("model") == pytest.approx(expected, abs=1e-9)


def test_nobody_to_evaluate_is_said():
    with pytest.raises(DataError, match="no user to evaluate"):
        Finish(EVALUATOR.layout, EVALUATOR.layout.zeros(), 5)
