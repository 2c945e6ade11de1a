"""A name in the settings that nothing listens to is refused, with the nearest that there is."""

from __future__ import annotations

import pytest

from truelift.errors import ConfigError
from truelift.logs.accounts import REQUIRED
from truelift.logs.bots import DECLARED
from truelift.logs.contract import expected_metrics
from truelift.logs.neighbours.names import neighbour_labels
from truelift.logs.parsing import EPOCHS
from truelift.logs.rules import LABELS
from truelift.logs.rules import RULES as ROW_RULES
from truelift.settings import CleanOptions, Settings, SourceOptions
from truelift.settings.clean import METRICS, RULES
from truelift.settings.source import EPOCHS as ACCEPTED_EPOCHS
from truelift.typed import from_plain


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ({"actions": {"double_klick": "label"}}, "Did you mean 'double_click'"),
        ({"actions": {"duplicates": "label"}}, "Did you mean 'duplicate'"),
        ({"actions": {"bot_rates": "reject"}}, "Did you mean 'bot_rate'"),
        ({"actions": {"corrupt_row": "ignore"}}, "clean.actions: there is no 'corrupt_row'"),
        ({"warn": ["null_user"]}, "Did you mean 'null_user_key'"),
        ({"warn": ["max_quantity"]}, "'greatest_quantity'|'least_quantity'"),
        ({"warn": ["xyz"]}, "Known: earliest_event, greatest_quantity"),
        ({"lower": ["users"]}, "Did you mean 'user'"),
        ({"impute": {"quantities": "1"}}, "Did you mean 'quantity'"),
        ({"integer_ids": ["items"]}, "Did you mean 'item'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(option, nearest):
    with pytest.raises(ConfigError, match=nearest):
        from_plain(CleanOptions, option)


def test_a_target_of_a_stream_that_nothing_reads_is_refused_with_the_nearest():
    columns = {"user": "u", "campaign": "c", "campain_type": "k"}
    with pytest.raises(ConfigError, match=r"source\.exposures\.columns: there is no .*'campaign_"):
        from_plain(SourceOptions, {"exposures": {"columns": columns}})
    any_name = {"item_id": "i", "colour": "c"}
    assert from_plain(SourceOptions, {"items": {"columns": any_name}}).items.columns == any_name


def test_the_rules_that_settings_accept_are_those_that_exist():
    assert set(RULES) == {*ROW_RULES, *LABELS, *neighbour_labels(), DECLARED}


def test_the_metrics_that_settings_accept_are_those_of_the_contract():
    import datetime

    bounded = {name: 1.0 for name in ("min_quantity", "max_quantity", "min_value", "max_value")}
    options = Settings(clean=CleanOptions(**bounded))
    now = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    assert set(METRICS) == {e.column for e in expected_metrics(options, now)}
    assert {f"null_{column}" for column in REQUIRED} <= set(METRICS)


def test_the_time_formats_that_settings_accept_are_those_that_are_read():
    assert set(ACCEPTED_EPOCHS) == set(EPOCHS)


@pytest.mark.parametrize("zone", ["Europe/Berln", "GMT+25", "local"])
def test_a_time_zone_is_checked_when_the_settings_are_read(zone):
    with pytest.raises(ConfigError, match=r"source\.time_zone: found .* such as UTC or Europe"):
        SourceOptions(time_zone=zone)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("yyyy-mm-dd", "M for months"),
        ("yyyy-MM-dd HH:MM", "m for minutes"),
        ("yyyy-MM-DD", "d for the day of the month"),
        ("dd/MM/yyyy hh:mm", "H for hours to 23, or a"),
        ("yyyy-MM-dd HH:mm:SS", "s for seconds"),
    ],
)
def test_a_letter_of_a_time_format_that_means_another_part_is_refused(pattern, meant):
    with pytest.raises(
        ConfigError, match=rf"source\.time_format: found '{pattern}', expected {meant}"
    ):
        SourceOptions(time_format=pattern)


@pytest.mark.parametrize(
    "pattern",
    ["dd/MM/yyyy HH:mm:ss.SSS", "M/d/yyyy h:mm a", "yyyyDDD", "dd MMM yyyy 'at' HH:mm", "yyyy-MM-dd'T'HH"],
)  # fmt: skip
def test_a_time_format_that_says_what_it_reads_is_taken(pattern):
    assert SourceOptions(time_format=pattern).time_format == pattern


@pytest.mark.parametrize("pattern", ["", "'iso'", "EEE dd MMM yyyy", "epoch_min"])
def test_a_time_format_is_checked_when_the_settings_are_read(pattern):
    with pytest.raises(ConfigError, match=r"source\.time_format: found .* 'epoch_ms'"):
        SourceOptions(time_format=pattern)


@pytest.mark.parametrize("pattern", ["iso", "epoch_s", "dd/MM/yyyy HH:mm", "yyyy-MM-dd'T'HH:mm"])
def test_a_time_format_that_can_be_read_passes(pattern):
    assert SourceOptions(time_format=pattern).time_format == pattern


@pytest.mark.parametrize("key", ["min_time", "max_time"])
def test_a_limit_of_times_is_checked_when_the_settings_are_read(key):
    with pytest.raises(
        ConfigError, match=rf"clean\.times\.{key}: found 'yesterday', expected a date"
    ):
        CleanOptions(**{key: "yesterday"})


def test_a_number_that_is_to_be_imputed_has_to_be_one():
    with pytest.raises(ConfigError, match=r"clean\.impute\.value: found 'none', expected a number"):
        CleanOptions(impute={"value": "none"})


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"mapping": {"event_type": False}}, "source.mapping.event_type: found the truth value"),
        ({"mapping": {"user": None}}, "source.mapping.user: found nothing"),
        ({"mapping": {"context": ["a", True]}}, r"context.*: found the truth value true"),
        ({"items": {"columns": {False: "a"}}}, "columns: found the key the truth value false"),
        ({"items": {"columns": {"a": True}}}, "columns.a: found the truth value true"),
    ],
)
def test_a_word_that_yaml_takes_for_a_truth_value_is_to_be_quoted(data, where):
    with pytest.raises(ConfigError, match=rf"{where}.*put it in quotes, such as 'no'"):
        from_plain(SourceOptions, data, "source")


def test_the_bare_word_null_is_a_spelling_of_missing():
    assert SourceOptions(missing=(None, "NaN")).words_for_missing == ("null", "Null", "NULL", "NaN")


def test_a_way_with_redelivered_files_has_to_be_one_of_three():
    with pytest.raises(ConfigError, match=r"source\.redelivered: found 'drop', expected one of"):
        SourceOptions(redelivered="drop")
