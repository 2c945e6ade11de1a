"""What a session looks like after each of its events."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import histories
from tests.unit.models.sequence.test_tokens import SECOND, packed, with_kinds
from truelift.models.sequence.batches import filler
from truelift.models.sequence.session_features import feature_count, session_features

ACTIONS = 3
EVENTS = st.lists(
    st.tuples(
        st.integers(1, 4),  # item
        st.integers(0, 3),  # seconds since the event before
        st.booleans(),  # opens a session
        st.integers(0, ACTIONS),  # kind
    ),
    min_size=1,
    max_size=8,
)


def brute_force(events: list[tuple[int, int, bool, int]]) -> list[list[float]]:
    rows, session, now = [], [], 0
    for item, gap, opens, kind in events:
        now += gap
        session = [] if opens else session
        before = session[-1][2] if session else now
        session = [*session, (item, kind, now)]
        kinds = [k for _, k, _ in session]
        numbers = [kinds.count(k) for k in range(ACTIONS + 1)]
        rest = [len(session), len({i for i, _, _ in session}), now - before, now - session[0][2]]
        one = [float(k == kind) for k in range(ACTIONS + 1)]
        rows.append([*np.log1p(numbers), *one, *np.log1p(rest), 1.0])
    return rows


@given(st.lists(EVENTS, min_size=1, max_size=3))
def test_features_equal_a_walk_over_each_session(users):
    table, kinds = [], []
    for events in users:
        times = np.cumsum([gap for _, gap, _, _ in events]) * SECOND
        numbers = np.cumsum([opens for _, _, opens, _ in events])
        table.append(
            [(e[0], int(t), int(s)) for e, t, s in zip(events, times, numbers, strict=True)]
        )
        kinds += [kind for *_, kind in events]
    found = session_features(packed(with_kinds(histories(*table), kinds)), ACTIONS)
    expected = [row for events in users for row in brute_force(events)]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-5, atol=1e-5)


def test_a_batch_without_events_has_no_rows():
    empty = session_features(filler(("event_type",)), ACTIONS)
    assert empty.shape == (0, feature_count(ACTIONS))
