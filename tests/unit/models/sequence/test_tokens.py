"""Batches of single events as padded arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.sequence.test_histories import histories
from truelift.errors import ConfigError
from truelift.models.sequence.batches import Batch, filler, pack
from truelift.models.sequence.event_options import EventModelOptions, SASRecOptions
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.tokens import lay_out
from truelift.models.sequence.windows import training_windows
from truelift.settings import SequenceOptions

SECOND = 1_000_000


def with_kinds(table: Histories, kinds: list[int]) -> Histories:
    features = {"event_type": np.array(kinds, np.int32)}
    return Histories(table.users, table.offsets, table.items, table.times, table.sessions, features)


def packed(table: Histories, max_length: int = 10) -> Batch:
    return pack(list(training_windows(table, max_length, "event")))


def test_a_slot_holds_its_event_and_padding_lies_on_the_right():
    tokens = lay_out(packed(histories([(4, 0, 0), (5, 3 * SECOND, 0)], [(6, 9 * SECOND, 0)])), ())
    assert tokens.items.tolist() == [[0, 4, 5], [0, 6, 0]]
    assert tokens.seconds.tolist() == [[0, 1, 4], [0, 1, 0]]


def test_a_code_beyond_those_known_counts_as_unknown():
    table = with_kinds(histories([(4, 0, 0), (5, 1, 0), (6, 2, 0)]), [1, 7, 2])
    assert lay_out(packed(table), [("event_type", 3)]).sides[0, :, 0].tolist() == [0, 1, 0, 2]


def test_a_batch_without_entries_is_all_padding():
    tokens = lay_out(filler(), ())
    assert tokens.items.shape == (1, 2)
    assert not tokens.items.any()


def test_options_survive_json():
    import json

    given = SASRecOptions(9, heads=2, side_features=(("category", 5),), loss="gbce")
    assert SASRecOptions.from_plain(json.loads(json.dumps(given.plain()))) == given


def test_the_data_say_how_many_codes_a_side_feature_has():
    settings = SequenceOptions(model="gru", step="event", side_features=("category",))
    assert EventModelOptions.from_settings(9, settings, {"category": 4}).side_features == (
        ("category", 4),
    )


@pytest.mark.parametrize(
    ("loss", "items", "sparse"),
    [("full_softmax", 200_000, False), ("gbce", 200_000, True), ("gbce", 9_000, False)],
)
def test_rows_in_use_alone_are_touched_where_a_sampled_loss_meets_many_items(loss, items, sparse):
    settings = SequenceOptions(model="gru", step="event", loss=loss)
    assert EventModelOptions.from_settings(items, settings).sparse is sparse


def test_full_softmax_cannot_touch_few_rows():
    with pytest.raises(ConfigError, match="sparse: found True, expected false with full_softmax"):
        EventModelOptions(9, sparse=True)
