"""Which trainings may go on from one another's checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from truelift.settings import SequenceOptions
from truelift.training.rank import RankJob, run_key

JOB = RankJob("{}", {"kind": "temporal"}, 10, 1, SequenceOptions())


def with_options(**options) -> RankJob:
    return replace(JOB, sequence=replace(JOB.sequence, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"processes": 1},
        {"launcher": "spark"},
        {"checkpoint_steps": 7},
        {"tune": 8},
        {"restarts": 0},
    ],
)
def test_how_a_training_is_run_does_not_make_it_another(options):
    assert run_key(with_options(**options)) == run_key(JOB)


def test_where_it_stops_and_what_stands_beside_it_does_not_either():
    other = replace(
        JOB, until_epoch=2, test=False, arrays={"categories": np.zeros(3)}, checkpoints="/somewhere"
    )
    assert run_key(other) == run_key(JOB)


@pytest.mark.parametrize(
    "options", [{"learning_rate": 0.1}, {"epochs": 9}, {"batch_size": 2}, {"reading": "own"}]
)
def test_other_settings_make_it_another(options):
    assert run_key(with_options(**options)) != run_key(JOB)


def test_other_data_or_another_seed_make_it_another():
    assert len({run_key(j) for j in (JOB, replace(JOB, plan="[]"), replace(JOB, seed=2))}) == 3


def test_where_each_rank_reads_its_own_part_their_number_counts():
    assert run_key(with_options(reading="own", processes=3)) != run_key(
        with_options(reading="own", processes=2)
    )
