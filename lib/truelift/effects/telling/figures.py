"""Numbers in sentences: as many digits as their standard error carries, thousands separated."""

from __future__ import annotations

import math
from typing import Protocol

_MOST_DECIMALS = 6


def decimals_for(standard_error: float, significant: int = 2) -> int:
    """Decimals that show ``significant`` digits of a standard error (0 to 6)."""
    if not math.isfinite(standard_error) or standard_error <= 0:
        return 2
    wanted = significant - 1 - math.floor(math.log10(standard_error))
    return min(_MOST_DECIMALS, max(0, wanted))


def places_of(standard_error: float, *bounds: float) -> int:
    """The same, and as many more as it takes to show no bound as a false zero."""
    places = decimals_for(standard_error)
    while places < _MOST_DECIMALS and any(b != 0 and round(b, places) == 0 for b in bounds):
        places += 1
    return places


def figure(value: float, places: int, *, signed: bool = False) -> str:
    """``-1234.5`` with one decimal as ``-1,234.5``; what its decimals would hide, by its digits."""
    if not math.isfinite(value):
        return "not available"
    rounded = round(value, places) + 0.0
    if rounded == 0 and value != 0 and places >= _MOST_DECIMALS:
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    plus = "+" if signed and rounded > 0 else ""
    return f"{plus}{rounded:,.{places}f}"


def percent(value: float, *, signed: bool = False) -> str:
    """A share with two decimals."""
    return f"{value:+.2%}" if signed else f"{value:.2%}"


def p_text(value: float) -> str:
    """``p 0.012``, ``p < 0.001``."""
    if not math.isfinite(value):
        return "p not available"
    if value < 0.001:
        return "p < 0.001"
    return f"p {value:.2f}" if value >= 0.1 else f"p {value:.3f}"


def compact(value: float, *, signed: bool = False) -> str:
    """Four significant digits, and large numbers without an exponent: ``12,346``."""
    sign = "+" if signed else ""
    return f"{value:{sign},.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:{sign}.4g}"


class WithInterval(Protocol):
    """An estimate with its standard error and interval."""

    @property
    def estimate(self) -> float: ...

    @property
    def standard_error(self) -> float: ...

    @property
    def ci_lower(self) -> float: ...

    @property
    def ci_upper(self) -> float: ...


def with_interval(name: str, e: WithInterval) -> tuple[str, str, str]:
    """A row of a table: a name, an estimate, its interval."""
    places = places_of(e.standard_error, e.ci_lower, e.ci_upper)
    bounds = f"{figure(e.ci_lower, places)} to {figure(e.ci_upper, places)}"
    return name, figure(e.estimate, places, signed=True), bounds
