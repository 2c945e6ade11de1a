"""``fit_needs`` on tables whose units, names, gaps and sizes are not those of an example."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.graph.need.source import HeldSteps, SumsKernel
from truelift.simulate.needs import NeedWorld

KEYS = {
    "user": "customer", "time": "week", "inputs": "mailed", "behaviour": ["section", "pages"],
    "outcomes": ["bought", "minutes"], "needs": [2], "starts": 2, "draws": 5,
}  # fmt: skip
WORLD = NeedWorld()


@pytest.fixture(scope="module")
def table():
    return WORLD.draw(200, 5, seed=1)[0]


@pytest.fixture(scope="module")
def found(table):
    return tl.fit_needs(table, **KEYS)


def with_column(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


def renamed(table, old, new):
    return table.rename_columns([new if name == old else name for name in table.column_names])


@pytest.mark.parametrize(
    ("factor", "shift"), [(1.0, 1000.0), (1.0, 1e8), (1e6, 0.0), (1e-6, 0.0), (-1.0, 3.0)]
)
def test_nothing_depends_on_the_unit_of_a_number(table, found, factor, shift):
    moved = with_column(table, "minutes", factor * table["minutes"].to_numpy() + shift)
    other = tl.fit_needs(moved, **KEYS)
    for own, one in zip(found.result.needs, other.result.needs, strict=True):
        assert one.share == pytest.approx(own.share, rel=1e-4)
        assert one.share_lower == pytest.approx(own.share_lower, rel=1e-3)
        assert one.shows["minutes"] == pytest.approx(
            factor * own.shows["minutes"] + shift, rel=1e-4
        )
        assert one.shows["pages"] == pytest.approx(own.shows["pages"], rel=1e-4)
    for mine, one in zip(found.result.effects, other.result.effects, strict=True):
        by = factor if mine.of == "minutes" else 1.0
        assert one.estimate == pytest.approx(by * mine.estimate, rel=1e-3, abs=1e-4 * abs(by))
        assert one.standard_error == pytest.approx(abs(by) * mine.standard_error, rel=2e-3)
    narrow, wide = (f.posteriors().set_index(["user_key", "step", "need"]) for f in (found, other))
    assert wide.filtered_lower[narrow.index].to_numpy() == pytest.approx(
        narrow.filtered_lower.to_numpy(), abs=0.02
    )
    rise = -len(table) * np.log(abs(factor))
    assert other.result.log_likelihood == pytest.approx(found.result.log_likelihood + rise, abs=0.1)
    by_user = rise / found.result.users
    assert other.result.tried[0].held_out == pytest.approx(
        found.result.tried[0].held_out + by_user, abs=0.05
    )


def test_first_steps_tell_nothing_of_what_is_shown(table):
    """They come after no need, so chances of moving would be the prior's, without an error."""
    once = WORLD.draw(600, 1, seed=1)[0]
    one_step = tl.fit_needs(once, **KEYS)
    assert {e.intervention for e in one_step.result.effects} == {"do(need 2)"}
    assert not one_step.result.moves
    first = np.where(table["week"].to_numpy() == 0, table["mailed"].to_numpy(), 0)
    other = tl.fit_needs(with_column(table, "mailed", first), **KEYS)
    assert {e.intervention for e in other.result.effects} == {"do(need 2)"}
    assert list(other.result.moves) == ["mailed=0"]
    for told in (one_step, other):
        assert (
            "mailed=1 was shown before fewer than 20 steps that came after need 1, need 2"
            in str(told)
        )


def test_where_a_level_followed_few_steps_of_a_need_its_effect_there_is_not_told(found, table):
    """The other needs' effects at the step itself still are, and later ones where the base was shown everywhere."""
    filtered = found.posteriors().set_index(["user_key", "step", "need"]).smoothed
    sure = {
        (u, s): filtered[(u, s, "need 1")] for u, s in filtered.index.droplevel("need").unique()
    }
    before = np.array(
        [sure.get((str(u), w), 0.0) for u, w in zip(*(table[c].to_pylist() for c in ("customer", "week")), strict=True)]
    )  # fmt: skip
    # Mails only after steps that were not likely in need 1.
    shown = np.where(before < 0.05, table["mailed"].to_numpy(), 0)
    told = tl.fit_needs(with_column(table, "mailed", shown), **KEYS)
    groups = {e.population for e in told.result.effects if e.intervention == "do(mailed=1)"}
    assert groups == {"in need 2"}
    assert "mailed=1 was shown before fewer than 20 steps that came after need 1, so" in str(told)


def test_with_one_need_no_effect_of_what_is_shown_is_told(table):
    """It would be zero without an error, whatever the data."""
    told = tl.fit_needs(table, **{**KEYS, "needs": [1]})
    assert told.result.effects == () and "with one need there is nothing" in str(told)
    assert told.to_pandas()["population"].tolist() == []


def test_outcomes_keep_their_effects_whatever_their_names(table, found):
    named = renamed(renamed(table, "bought", "a=b"), "minutes", "c=1")
    told = tl.fit_needs(named, **{**KEYS, "outcomes": ["a=b", "c=1"]})
    of = {"bought=1": "a=b=1", "minutes": "c=1"}
    assert [e.of for e in told.result.effects] == [of.get(e.of, e.of) for e in found.result.effects]
    assert [e.estimate for e in told.result.effects] == [e.estimate for e in found.result.effects]


@pytest.mark.parametrize("name", ["week", "customer"])
def test_a_gap_written_as_nan_is_no_time_and_no_user(table, name):
    values = table[name].to_numpy().astype(float)
    values[3] = np.nan
    with pytest.raises(DataError, match="found 1 rows without a value"):
        tl.fit_needs(with_column(table, name, values), **KEYS)


@pytest.mark.parametrize(("name", "value", "kind"), [("minutes", 2.5, "number"), ("pages", 0, "count"), ("pages", 3, "count")])  # fmt: skip
def test_numbers_that_are_all_one_tell_nothing(table, name, value, kind):
    flat = with_column(table, name, np.full(len(table), value))
    with pytest.raises(DataError, match=f"found only {value}, expected several values"):
        tl.fit_needs(flat, **KEYS, kinds={name: kind})


def test_times_beyond_double_precision_keep_their_order(table, found):
    """Steps a nanosecond apart, as whole nanoseconds since 1970."""
    late = with_column(table, "week", table["week"].to_numpy() + 1_700_000_000_000_000_000)
    assert tl.fit_needs(late, **KEYS).result.effects == found.result.effects


def test_numbers_whose_squares_are_beyond_double_precision_are_refused(table):
    huge = with_column(table, "minutes", table["minutes"].to_numpy() * 1e300)
    with pytest.raises(DataError, match="variance is beyond double precision"):
        tl.fit_needs(huge, **KEYS)


@pytest.mark.parametrize(
    ("change", "said"), [({"seed": -1}, "seed: found -1"), ({"prior_rows": float("nan")}, "prior_rows: found nan")]
)  # fmt: skip
def test_options_that_no_fit_can_use_are_a_sentence(table, change, said):
    with pytest.raises(ConfigError, match=said):
        tl.fit_needs(table, **{**KEYS, **change})


@pytest.mark.parametrize("parts", [1, 8, 200])
def test_sums_are_the_same_in_1_8_and_200_parts(found, parts):
    """Of the work on buckets, and of the files that a bucket's rows lie in."""
    coding, model = found.fitted.coding, found.fitted.model
    held = HeldSteps(found.held.tables, "steps", threads=parts)
    assert (held.sums(coding, model) == found.held.sums(coding, model)).all()
    assert (held.products(coding, model) == found.held.products(coding, model)).all()
    whole = pa.concat_tables(found.held.tables.values()).combine_chunks()
    pieces = np.array_split(np.random.default_rng(0).permutation(len(whole)), parts)
    batches = [whole.take(pa.array(p)).to_batches()[0] for p in pieces]
    told = SumsKernel(coding, model)(0, iter(batches))
    assert (told["sums"] == SumsKernel(coding, model)(0, iter(whole.to_batches()))["sums"]).all()
