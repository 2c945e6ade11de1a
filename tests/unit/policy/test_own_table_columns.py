"""Columns that a policy learned from a table of one's own wants of it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from truelift.errors import TableError
from truelift.policy.lake_rows import own_table_options
from truelift.policy.options import RewardOptions


def test_groups_of_texts_are_categories_and_columns_of_costs_are_wanted():
    schema = pa.schema(
        [
            ("age", pa.float64()),
            ("group", pa.string()),
            ("price", pa.float64()),
            ("sales", pa.float64()),
        ]
    )
    reward = RewardOptions(outcome="sales", costs={"mail": "price", "call": "0.5"})
    found = own_table_options("t", schema, reward, "id", "customer", "arm", ("age", "group"))
    assert found.covariates == ("age", "price")
    assert dict(found.features.categorical) == {"group": "one_hot"}
    with pytest.raises(TableError, match="t has no column 'region', which the specification names"):
        own_table_options("t", schema, reward, "id", "customer", "arm", ("age", "region"))
