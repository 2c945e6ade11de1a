"""Text of reference streams to instants and attributes."""

from __future__ import annotations

import datetime

import pytest

from truelift.features.streams import day_after, instant_column
from truelift.features.users import attribute_maps
from truelift.settings import ReferenceOptions, Settings, SourceOptions


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "time_format", "zone", "expected"),
    [
        ("2024-03-31", "iso", "UTC", "2024-03-31T00:00:00"),
        (" 2024-03-31 10:20:30.5 ", "iso", "UTC", "2024-03-31T10:20:30.5"),
        ("2024-01-31", "iso", "Europe/Berlin", "2024-01-30T23:00:00"),
        ("2024-01-31T10:00:00Z", "iso", "Europe/Berlin", "2024-01-31T10:00:00"),
        ("2024-01-31T10:00:00+02:00", "iso", "Europe/Berlin", "2024-01-31T08:00:00"),
        ("1706659200", "epoch_s", "Europe/Berlin", "2024-01-31T00:00:00"),
        ("1706659200500", "epoch_ms", "UTC", "2024-01-31T00:00:00.5"),
        ("31/01/2024", "dd/MM/yyyy", "UTC", "2024-01-31T00:00:00"),
        ("2024-01-31", "dd/MM/yyyy", "UTC", "2024-01-31T00:00:00"),
        ("soon", "iso", "UTC", None),
        ("", "epoch_s", "UTC", None),
    ],
)
def test_text_becomes_an_instant_in_utc(spark, text, time_format, zone, expected):
    from pyspark.sql import functions as F

    source = SourceOptions(time_format=time_format, time_zone=zone)
    frame = spark.createDataFrame([(text,)], "text string")
    found = frame.select(F.unix_micros(instant_column(F.col("text"), source)).alias("t")).first()
    wanted = None
    if expected:
        moment = utc(expected).replace(tzinfo=datetime.timezone.utc)
        wanted = round(moment.timestamp() * 1e6)
    assert found["t"] == wanted


@pytest.mark.parametrize(
    ("instant", "zone", "expected"),
    [
        ("2024-04-09 00:00:00", "UTC", "2024-04-10T00:00:00"),
        ("2024-04-09 23:59:59", "UTC", "2024-04-10T00:00:00"),
        ("2024-03-30 23:00:00", "Europe/Berlin", "2024-03-31T22:00:00"),
    ],
)
def test_the_day_after_begins_at_local_midnight_across_daylight_saving(
    spark, instant, zone, expected
):
    from pyspark.sql import functions as F

    frame = spark.sql(f"SELECT TIMESTAMP '{instant}' AS t")
    found = frame.select(F.unix_micros(day_after(F.col("t"), zone)).alias("t")).first()
    moment = utc(expected).replace(tzinfo=datetime.timezone.utc)
    assert found["t"] == round(moment.timestamp() * 1e6)


def users(spark, *rows: tuple):
    return spark.createDataFrame(
        rows, "`who` string, age string, city string, source_file string, source_row bigint"
    )


def settings(**columns: str) -> Settings:
    return Settings(source=SourceOptions(users=ReferenceOptions("u.csv", columns)))


def test_the_last_row_of_a_user_gives_the_attributes_and_blanks_are_left_out(spark):
    frame = users(
        spark, ("u", "old", "x", "a", 1), (" u ", "young", "", "b", 0), (None, "z", "z", "b", 1)
    )
    rows = attribute_maps(frame, settings(user="who")).collect()
    assert [(r["user_key"], dict(r["attributes"])) for r in rows] == [("u", {"age": "young"})]


def test_mapped_attributes_are_the_only_ones_under_their_own_names(spark):
    frame = users(spark, ("u", "old", "x", "a", 1))
    rows = attribute_maps(frame, settings(user="who", town="city")).collect()
    assert dict(rows[0]["attributes"]) == {"town": "x"}
