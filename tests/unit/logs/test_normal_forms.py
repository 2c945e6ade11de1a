"""Unicode normal forms of keys (Unicode Annex 15), by Python's own tables."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest

from truelift.logs.parsing import normalised

TEXTS = ["Zo\u00cb", "zoe\u0308", "\ufb01lm", "\u212b", "plain", "plain", "", None]


@pytest.mark.parametrize("form", ["NFC", "NFKC", "NFD", "NFKD"])
def test_each_text_is_in_the_form_that_was_asked_for(form):
    expected = [None if text is None else unicodedata.normalize(form, text) for text in TEXTS]
    assert normalised(pa.array(TEXTS), form).to_pylist() == expected


def test_composed_and_parted_letters_become_one_composed_letter():
    assert normalised(pa.array(["e\u0308", "\u00eb"]), "NFC").to_pylist() == ["\u00eb"] * 2


def test_no_texts_are_no_texts():
    assert normalised(pa.array([], pa.string()), "NFC").to_pylist() == []
    assert normalised(pa.array([None], pa.string()), "NFC").to_pylist() == [None]
