"""Spellings of missing and ids as floating point numbers: texts of numbers, and what is hinted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.logs.hints import absent, counted, suggested
from truelift.logs.sampling import in_sample
from truelift.logs.sources.columns import as_text
from truelift.settings import CleanOptions, MappingOptions, Settings, SourceOptions

FIELDS = {"user": "u", "item": "i", "event_id": "e", "value": "v"}


def look(settings=None, **columns):
    texts = counted(iter([pa.record_batch(columns)]), sorted(columns))
    fields = {field: column for field, column in FIELDS.items() if column in columns}
    return suggested(texts, fields, settings or Settings())


@pytest.mark.parametrize("word", ["null", "NULL", "NaN", r"\N", "-", "(not set)", "undefined", "0"])
def test_a_user_that_is_a_word_for_nothing_is_hinted_where_it_holds_much(word):
    (hint,) = look(u=[word] * 5 + [f"user{n}" for n in range(95)])
    for part in ("5 of 100 rows", "user ('u')", f"source.missing: [{word!r}]"):
        assert part in hint


def test_a_user_of_such_a_name_that_holds_little_is_a_user():
    assert look(u=["null"] * 2 + [f"user{n}" for n in range(500)]) == ()


def test_ids_whose_digits_a_spreadsheet_cut_are_hinted():
    (hint,) = look(u=["4.01235E+15"] * 4 + ["4.01236E+15", "401235"])
    for part in ("5 of 6 rows", "'4.01235E+15'", "several users may have become one", "as text"):
        assert part in hint


def test_ids_that_only_happen_to_have_an_e_are_ids():
    assert look(u=["1e5", "7E10", "4e+x"] * 5) == ()


def test_what_the_settings_say_is_not_hinted():
    said = Settings(
        source=SourceOptions(missing=(None,)), clean=CleanOptions(integer_ids=("user",))
    )
    assert look(said, u=["NULL"] * 50 + ["7", "7.0"]) == ()


def test_one_value_or_event_id_of_such_a_word_is_enough():
    assert len(look(v=["1"] * 999 + ["NULL"], e=["-"] + [str(n) for n in range(999)])) == 2


def test_ids_that_stand_there_twice_are_hinted():
    (hint,) = look(u=["123.0", "123", "5.0", "a"])
    assert "'123.0' beside '123'" in hint and "clean.keys.integer_ids: [user]" in hint
    assert look(u=["123.0", "124", "5.5", "5"]) == ()


def test_a_mapped_column_that_bronze_lacks_is_said_unless_keys_may_come_late():
    settings = Settings(source=SourceOptions(mapping=MappingOptions(value="price")))
    (sentence,) = absent(["user", "item", "TIME"], settings)
    assert sentence.startswith("source.mapping.value names the column 'price', which no file had")
    assert absent(["user", "item", "time", "_other"], settings) == ()


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_a_float_that_is_no_number_is_missing_and_a_whole_one_has_no_point(kind):
    values = np.array([123.0, -7.0, 0.5, np.nan], kind.to_pandas_dtype())
    assert as_text(pa.array(values, kind)).to_pylist() == ["123", "-7", "0.5", None]


def test_a_large_whole_number_of_floating_point_keeps_its_digits():
    values = pa.array([1_704_067_200_123.0, 9_007_199_254_740_991.0, None, np.inf])
    assert as_text(values).to_pylist() == ["1704067200123", "9007199254740991", None, "inf"]


def test_two_spellings_of_a_whole_number_are_in_the_sample_together():
    numbers = [str(n) for n in range(200)]
    spelt = pa.array([text for n in numbers for text in (n, f"{n}.0", f" {n}.00 ")])
    kept = in_sample(spelt, 0.3).reshape(-1, 3)
    assert (kept == kept[:, :1]).all()
    assert 0 < kept[:, 0].sum() < 200
