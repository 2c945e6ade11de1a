"""Answers that only some of the units give: means and differences as if all had."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError, NotSupportedError, TableError


def survey(users: int, seed: int = 0) -> tuple[pd.DataFrame, float]:
    """The happy answer, of the new page more of them; two orders a user. The page adds .3 to all."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 2)
    mood = np.repeat(rng.normal(size=users), 2)
    page = np.repeat(rng.integers(0, 2, users), 2)
    region = np.where(rng.random(2 * users) < 0.5, "north", "south")
    stars = (
        3
        + 0.3 * page
        + 0.8 * mood
        + 0.4 * np.repeat(rng.normal(size=users), 2)
        + 0.5 * rng.normal(size=2 * users)
    )
    told = rng.random(2 * users) < 1 / (1 + np.exp(0.5 - mood * (1.2 - 1.6 * page)))
    frame = {
        "user": user, "page": np.where(page == 1, "new", "old"), "mood": mood, "region": region,
        "stars": np.where(told, stars, np.nan),
    }  # fmt: skip
    return pd.DataFrame(frame), 0.3


def compared(frame, **keys):
    asked = {
        "arm": "page",
        "answer": "stars",
        "covariates": ["mood", "region"],
        "cluster": "user",
        "control": "old",
    }
    return tl.compare_answers(frame, **asked | keys)


def test_the_difference_is_the_one_of_all_units_and_not_of_those_who_answered():
    frame, truth = survey(700)
    result = compared(frame)
    old, new = result.arms
    assert result.supported
    assert old.answers == frame[frame.page == "old"].stars.notna().sum()
    assert new.difference_lower < truth < new.difference_upper
    assert not new.difference_lower < new.naive_difference < new.difference_upper
    assert old.ci_lower < 3 < old.ci_upper
    assert old.of_answers > old.ci_upper
    assert "if all had" in str(result) and len(result.to_pandas()) == 2


def test_errors_are_clustered_by_user():
    frame, _ = survey(200)
    twice = pd.concat([frame, frame], ignore_index=True)
    once, again = (compared(f).arms[1] for f in (frame, twice))
    width = once.difference_upper - once.difference_lower
    assert again.difference_upper - again.difference_lower == pytest.approx(width, rel=0.05)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda f: f.assign(stars=3.0), DataError, "all of 120 rows have an answer"),
        (lambda f: f.assign(stars=np.nan), DataError, "none of 120 rows have an answer"),
        (lambda f: f.assign(stars="good"), TableError, "expected numbers"),
        (lambda f: f.assign(page=None), DataError, "have no arm"),
        (lambda f: f.drop(columns="mood"), TableError, "mood"),
        (lambda f: f.assign(page="no answer"), DataError, "name it otherwise"),
    ],
)  # fmt: skip
def test_a_survey_that_cannot_be_used_is_one_message(change, error, said):
    with pytest.raises(error, match=said):
        compared(change(survey(60)[0]))


def test_an_unknown_control_is_named():
    with pytest.raises(DataError, match="no arm 'older'"):
        compared(survey(60)[0], control="older")


def test_one_arm_of_whom_those_of_a_kind_never_answer_is_not_supported():
    frame, _ = survey(300)
    frame = frame.assign(page="old", stars=frame.stars.where(frame.mood > 0.5, np.nan))
    result = compared(frame, covariates=["mood"])
    assert not result.supported and "Not supported: old" in str(result)


def test_an_arm_in_which_nobody_answered_is_named():
    frame, _ = survey(60)
    with pytest.raises(NotSupportedError, match="nobody of the arm new answered"):
        compared(frame.assign(stars=frame.stars.where(frame.page == "old")))


@pytest.mark.parametrize("option", [{"estimands": ["ATE"]}, {"weight": "mood"}, {"arms": ["new"]}])
def test_options_that_it_sets_or_does_not_know_are_one_message(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        compared(survey(60)[0], **option)


def test_a_control_may_be_a_truth_value():
    frame, _ = survey(100)
    result = compared(frame.assign(page=frame.page == "new"), control=False)
    assert [arm.arm for arm in result.arms] == ["0", "1"]
