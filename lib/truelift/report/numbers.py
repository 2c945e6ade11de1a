"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
from datetime import date

from truelift.effects.telling.figures import decimals_for
from truelift.effects.telling.names import joined

__all__ = ["decimals_for", "joined"]

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"


def count(value: float) -> str:
    """A whole number with thousands separators: ``1469307`` -> ``1,469,307``."""
    return f"{round(value):,}".replace("-", MINUS)


def plural(value: int, singular: str, many: str | None = None) -> str:
    """A count with its noun: ``plural(1, "day")`` -> ``1 day``."""
    return f"{count(value)} {singular if value == 1 else many or singular + 's'}"


def share(value: float) -> str:
    """A proportion as a percentage with the digits that matter: ``0.0312`` -> ``3.1%``."""
    percent = 100 * value
    if not math.isfinite(percent):
        return "not available"
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if 0 < percent < 0.01:
        return "< 0.01%"
    if 99.995 <= percent < 100:
        return "> 99.99%"
    # Near 0 and near 100 the interesting digits come later.
    distance = min(abs(percent), abs(100 - percent))
    digits = 2 if distance < 0.1 else 1
    return f"{percent:.{digits}f}%".replace("-", MINUS)


def number(value: float, decimals: int = 2, *, signed: bool = False) -> str:
    """A number with a proper minus sign; ``signed`` shows a plus as well."""
    if value is None or not math.isfinite(value):
        return "not available"
    rounded = round(value, decimals) + 0.0
    text = f"{abs(rounded):,.{decimals}f}"
    if rounded < 0:
        return MINUS + text
    return "+" + text if signed and rounded > 0 else text


def significant(value: float, digits: int = 3) -> str:
    """A number rounded to ``digits`` significant digits, without exponents where readable."""
    if value is None or not math.isfinite(value):
        return "not available"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -5 or magnitude > 12:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return number(value, max(0, digits - 1 - magnitude))


def interval(lower: float, upper: float, decimals: int = 2, *, signed: bool = False) -> str:
    """An interval in words: ``1.2 to 11.4``."""
    low, high = (number(v, decimals, signed=signed) for v in (lower, upper))
    return f"{low} to {high}"


def p_value(value: float) -> str:
    """A p-value: two significant digits, ``< 0.001`` below that."""
    if value is None or not math.isfinite(value):
        return "not available"
    if value < 0.001:
        return "< 0.001"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def level(confidence: float) -> str:
    """A confidence level: ``0.95`` -> ``95%``."""
    return f"{100 * confidence:g}%"


def day(iso: str) -> str:
    """An ISO date or time as ``5 March 2017``; other text is returned as it is."""
    try:
        parsed = date.fromisoformat(iso[:10])
    except ValueError:
        return iso
    return f"{parsed.day} {parsed:%B %Y}"


def outcome_name(column: str) -> str:
    """A panel's outcome column as a word: ``y_units_sold`` -> ``units sold``."""
    return column.removeprefix("y_").replace("_", " ")


def covariate_name(column: str) -> str:
    """A panel's covariate column as words: ``x_days_since_last`` -> ``days since last``."""
    return column.removeprefix("x_").replace("_", " ")


def in_words(text: str) -> str:
    """A sentence with the panel's outcomes and covariates as words, and proper minus signs."""
    text = re.sub(r"\by_\w+", lambda name: outcome_name(name.group()), text)
    text = re.sub(r"\bx_\w+", lambda name: covariate_name(name.group()), text)
    return re.sub(r"(?<![\w.,-])-(?=\d)", MINUS, text)


#: What the models are called in text; a name that is not here is shown as it is.
MODEL_NAMES = {
    "basket_gru": "GRU over baskets",
    "gru": "GRU",
    "lstm": "LSTM",
    "pair_lstm": "LSTM over pairs",
    "sasrec": "SASRec",
    "next_action": "next-action model",
}


def model_name(name: str) -> str:
    """A model's or baseline's name as people write it: ``BASKET_GRU`` -> ``GRU over baskets``."""
    return MODEL_NAMES.get(name.lower(), name.replace("_", " "))


def short(identifier: str, length: int = 10) -> str:
    """The beginning of a long hash or run id."""
    return identifier[:length]
