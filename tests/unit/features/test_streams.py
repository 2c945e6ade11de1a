"""Which column of a stream means what."""

import pytest

from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.features.streams import mapped_columns, own_columns, required_columns
from truelift.settings import ReferenceOptions, Settings, SourceOptions

SHOP = Settings(
    source=SourceOptions(
        format="csv", exposures=ReferenceOptions("e.csv", {"user": "Visitor ID", "start": "from"})
    )
)


def test_the_data_sets_own_file_maps_its_streams_and_settings_go_over_it():
    plain = load_settings(dataset="complete_journey")
    assert mapped_columns(plain, "items")["category"] == "department"
    mine = load_settings(
        dataset="complete_journey", overrides=["source.items.columns.category=brand"]
    )
    assert mapped_columns(mine, "items")["category"] == "brand"
    assert mapped_columns(mine, "items")["item_id"] == "product_id"


def test_an_unmapped_target_is_looked_for_under_its_own_name():
    found = required_columns(SHOP, "exposures", ("Visitor_ID", "from", "end"), ("user", "end"))
    assert found == {"user": "Visitor_ID", "end": "end"}


def test_a_missing_column_is_named_with_those_found():
    with pytest.raises(ConfigError, match=r"'start' is read from column 'from'.*found until\)"):
        required_columns(SHOP, "exposures", ("until", "batch_id"), ("start",))


def test_columns_that_ingestion_added_are_not_the_sources_own():
    assert own_columns(("a", "source_file", "_corrupt", "batch_id")) == ("a",)
