"""Text to instants and numbers: what is one, and that nothing else is taken for one."""

from __future__ import annotations

import datetime
import random
import sys

import pytest

from truelift.logs.parsing import instant_of, number_of, only_text_of, trimmed_text
from truelift.settings import SourceOptions

UTC = datetime.timezone.utc


@pytest.fixture
def read(spark):
    """``read(function, texts)``: what a function of a text column makes of each text."""

    def run(function, texts):
        from pyspark.sql import functions as F

        frame = spark.createDataFrame(
            [(n, text) for n, text in enumerate(texts)], "n int, t string"
        )
        rows = frame.select("n", function(F.col("t")).alias("found")).orderBy("n").collect()
        return dict(zip(texts, (row["found"] for row in rows), strict=True))

    return run


@pytest.fixture
def instants(read):
    """``instants(texts, **source)``: UTC instants as text, None where there is none."""

    def run(texts, **source):
        from pyspark.sql import functions as F

        options = SourceOptions(**source)
        found = read(lambda text: F.unix_micros(instant_of(text, options)), texts)
        start = datetime.datetime(1970, 1, 1)
        return {
            text: None if micros is None else str(start + datetime.timedelta(microseconds=micros))
            for text, micros in found.items()
        }

    return run


ISO = {
    "2024-03-05T10:00Z": "2024-03-05 10:00:00",
    "2024-03-05 10:00": "2024-03-05 10:00:00",
    "2024-03-05T10:07+01:00": "2024-03-05 09:07:00",
    "2024-03-05T10": "2024-03-05 10:00:00",
    "2024-03-05T10-05": "2024-03-05 15:00:00",
    "2024-03-05T24:00:00": "2024-03-06 00:00:00",
    "2024-12-31T24:00Z": "2025-01-01 00:00:00",
    "2024-03-05T10:07:05,25Z": "2024-03-05 10:07:05.250000",
    "2024-03-05T10:07:05.123456789Z": "2024-03-05 10:07:05.123456",
    "2024-03-05T10:07.5Z": "2024-03-05 10:07:30",
    "2024-03-05T10,25Z": "2024-03-05 10:15:00",
    "20240305": "2024-03-05 00:00:00",
    "20240305T100705Z": "2024-03-05 10:07:05",
    "20240305T1007+0100": "2024-03-05 09:07:00",
    "20240305T100705.5-0330": "2024-03-05 13:37:05.500000",
    "2024-03-05t10:07:05z": "2024-03-05 10:07:05",
    "2024-03-05T10:07:05+01": "2024-03-05 09:07:05",
    "2024-03-05 10:07:05 +0100": "2024-03-05 09:07:05",
    "2024-03-05T10:07:05\u221203:00": "2024-03-05 13:07:05",
    "2024-065": "2024-03-05 00:00:00",
    "2024065T10:07Z": "2024-03-05 10:07:00",
    "2024-366": "2024-12-31 00:00:00",
    "2024-W10-2": "2024-03-05 00:00:00",
    "2024W102T100705Z": "2024-03-05 10:07:05",
    "2020-W53-5": "2021-01-01 00:00:00",
    "2025-W01-1": "2024-12-30 00:00:00",
    "2024-03-05T10:07+01:00[Europe/Berlin]": "2024-03-05 09:07:00",
    "2024-03-05T10:07[Europe/Berlin]": "2024-03-05 09:07:00",
    "2024-07-05 12:00:00 Europe/London": "2024-07-05 11:00:00",
    "2024-07-05 12:00:00 UTC": "2024-07-05 12:00:00",
    "2024-07-05 12:00 GMT": "2024-07-05 12:00:00",
    "2024-07-05 12:00 UTC+02:00": "2024-07-05 10:00:00",
    "2016-12-31T23:59:60Z": "2017-01-01 00:00:00",
    "2017-01-01T00:59:60.5+01:00": "2017-01-01 00:00:00.500000",
    "2024-3-5 1:02:03": "2024-03-05 01:02:03",
}
NOT_ISO = [
    "2024-07-05 12:00:00 BST", "2024-07-05 12:00:00 AST", "2024-07-05 12:00:00 ART",
    "2024-07-05 12:00:00 IST", "2024-07-05 12:00:00 CST", "2024-07-05 12:00:00EST",
    "2024-07-05T12:00:00 PST", "2024-07-05 12:00 CET", "2024-07-05 12:00 EST5EDT",
    "2024-07-05T12:00:00[BST]", "2024-07-05 12:00:00 Mars/Base", "2024-07-05 12:00:00A",
    "2024-03-05T24:00:01", "2024-03-05T25:00", "2024-03-05T10:60", "2024-03-05T10:07:61",
    "2024-03-05T23:59:60Z", "2024-02-30", "20240230", "2023-366", "2024-000", "2024-W54-1",
    "2021-W53-1", "2024-W10-8", "2024-W10-0", "2024-W10", "2024-03", "2024", "0000-01-01",
    "1704067200", "170406720", "20240305100705", "2024-03-05T", "2024-03-05T100", "10:07",
    "2024-03-05T10:07:05.", "2024-03-05T10:07+24:00", "2024-03-05T10:07+01:60", "2024-03-05Z",
]  # fmt: skip


def test_every_form_of_iso_8601_that_names_an_instant_is_read(instants):
    assert instants(list(ISO)) == ISO


def test_abbreviations_of_zones_and_other_text_are_no_instants(instants):
    assert {text for text, found in instants(NOT_ISO).items() if found is not None} == set()


def test_short_forms_without_a_zone_are_in_the_sources_zone(instants):
    texts = [
        "2024-07-05T12:00",
        "2024-07-05",
        "20240705T12",
        "2024-03-31T02:30",
        "2024-10-27T02:30",
    ]
    found = instants(texts, time_zone="Europe/Berlin")
    assert list(found.values()) == [
        "2024-07-05 10:00:00", "2024-07-04 22:00:00", "2024-07-05 10:00:00",
        "2024-03-31 01:30:00", "2024-10-27 00:30:00",
    ]  # fmt: skip


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 reads few forms")
def test_what_pythons_parser_reads_is_read_the_same(instants):
    """``datetime.fromisoformat`` of Python 3.11 and later is the oracle."""
    dice = random.Random(20)
    texts = sorted({_some_form(dice) for _ in range(3000)})
    expected = {text: _oracle(text) for text in texts}
    assert sum(value is not None for value in expected.values()) > 2000
    found = instants(texts)
    differ = {t: (found[t], expected[t]) for t in texts if expected[t] not in (None, found[t])}
    assert differ == {}


def _some_form(dice):
    day = datetime.date(1950, 1, 1) + datetime.timedelta(days=dice.randrange(40_000))
    year, week, weekday = day.isocalendar()
    date = dice.choice([
        f"{day:%Y-%m-%d}", f"{day:%Y%m%d}", f"{year}-W{week:02}-{weekday}", f"{year}W{week:02}{weekday}",
    ])  # fmt: skip
    if dice.random() < 0.1:
        return date
    hour, minute, second = dice.randrange(25), dice.randrange(61), dice.randrange(61)
    colon = dice.choice([":", ""])
    clock = colon.join(f"{n:02}" for n in (hour, minute, second)[: dice.randint(1, 3)])
    if len(clock.replace(":", "")) == 6 and dice.random() < 0.5:
        digits = "".join(dice.choice("0123456789") for _ in range(dice.randint(1, 9)))
        clock += dice.choice(".,") + digits
    hours, minutes = dice.randrange(24), dice.randrange(60)
    zone = dice.choice(
        ["", "Z", f"+{hours:02}", f"-{hours:02}{minutes:02}", f"+{hours:02}:{minutes:02}"]
    )
    return date + dice.choice("T ") + clock + zone


def _oracle(text):
    try:
        moment = datetime.datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return str(moment.astimezone(UTC).replace(tzinfo=None))
    except (ValueError, OverflowError):
        return None


def test_a_pattern_reads_no_abbreviation_of_a_zone_either(instants):
    form = "MMM dd HH:mm:ss z yyyy"
    found = instants(
        ["Jul 05 12:00:00 UTC 2024", "Jul 05 12:00:00 BST 2024", "Jul 05 12:00:00 IST 2024",
         "Jul 05 12:00:00 GMT 2024", "Jul 05 12:00:00 Europe/London 2024"],
        time_format=form,
    )  # fmt: skip
    assert list(found.values()) == [
        "2024-07-05 12:00:00", None, None, "2024-07-05 12:00:00", "2024-07-05 11:00:00",
    ]  # fmt: skip


NUMBERS = {
    "3": 3.0, "-3.50": -3.5, "+.5": 0.5, "5.": 5.0, "1e3": 1000.0, "1.5E-2": 0.015, "007": 7.0,
    "3d": None, "1f": None, "1F": None, "2D": None, "0x10": None, "0x1p3": None, "Infinity": None,
    "-inf": None, "NaN": None, "nan": None, "1_000": None, "1e400": None, "1,5": None, "1 000": None,
    "--1": None, "1e": None, "": None, ".": None, "\u0663": None, "\uff11": None, "12\u20ac": None,
    "1L": None, "1.0.0": None,
}  # fmt: skip


def test_a_number_is_digits_and_nothing_that_java_takes_for_one(read):
    assert read(number_of, list(NUMBERS)) == NUMBERS


def test_an_epoch_is_digits_too(instants):
    texts = ["1709632800", "1709632800.5", "1.7096328E9", "1709632800d", "0x65e6e9a0", "\u0661"]
    assert list(instants(texts, time_format="epoch_s").values()) == [
        "2024-03-05 10:00:00", "2024-03-05 10:00:00.500000", "2024-03-05 10:00:00", None, None, None,
    ]  # fmt: skip


def test_blanks_of_every_kind_at_the_ends_are_no_part_of_a_text(read):
    blanks = ["\t", "\u00a0", "\u202f", "\u3000", "\ufeff", "\u200b", "\r\n", " \t\u00a0 "]
    found = read(trimmed_text, [f"{blank}ann lee{blank}" for blank in blanks])
    assert set(found.values()) == {"ann lee"}


def test_numbers_are_read_as_the_source_writes_them(read):
    german = SourceOptions(decimal=",", thousands=".")
    found = read(
        lambda text: number_of(text, german),
        [
            "1.234,56",
            "1234,5",
            "-1.234.567",
            "0,5",
            "1,5e3",
            "1.23,4",
            "12.34",
            "1.5",
            "1,2,3",
            ",",
        ],
    )
    assert list(found.values()) == [
        1234.56, 1234.5, -1234567.0, 0.5, 1500.0, None, None, None, None, None,
    ]  # fmt: skip
    spaced = SourceOptions(thousands=" ")
    found = read(lambda text: number_of(text, spaced), ["1\u202f234.5", "1 234 567", "12 34"])
    assert list(found.values()) == [1234.5, 1234567.0, None]


def test_a_json_list_of_one_text_is_that_text(read):
    texts = [
        '["curl/8.0"]',
        '[ "a \\"b\\"" ]',
        '["a","b"]',
        "[]",
        "[1]",
        "[::1]",
        "curl",
        '["broken',
    ]
    assert list(read(only_text_of, texts).values()) == [
        "curl/8.0", 'a "b"', '["a","b"]', "[]", "[1]", "[::1]", "curl", '["broken',
    ]  # fmt: skip
