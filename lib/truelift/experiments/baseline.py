"""A metric without a treatment, as a design needs it: how much it varies over units."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from truelift.errors import ConfigError


@dataclass(frozen=True)
class Baseline:
    """Moments of a metric; which are needed depends on its kind.

    Parameters
    ----------
    mean : float, optional
        Of a mean; the rate of a proportion; of a ratio the upper total a unit; the value of a
        quantile, where a lift is asked for.
    sd : float, optional
        Standard deviation over units; of a ratio that of the upper total.
    per_mean, per_sd : float, optional
        Of a ratio's lower total.
    correlation : float
        Of a ratio's two totals.
    density : float, optional
        Of a quantile: the density at it; that of a normal distribution with ``sd`` by default.
    explained : float
        R² of what is known before the assignment, which CUPED takes away.
    cluster_size : float
        Units a cluster, where clusters are assigned.
    cluster_size_cv : float
        Standard deviation of the sizes by their mean.
    icc : float
        Correlation of two units of one cluster.
    response : float, optional
        Of an answer: the share of the units that will give one.
    """

    mean: float | None = None
    sd: float | None = None
    per_mean: float | None = None
    per_sd: float | None = None
    correlation: float = 0.0
    density: float | None = None
    explained: float = 0.0
    cluster_size: float = 1.0
    cluster_size_cv: float = 0.0
    icc: float = 0.0
    response: float | None = None

    def __post_init__(self) -> None:
        for name in ("sd", "per_mean", "density", "cluster_size"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"design.baseline.{name}: found {value}, expected above 0.")
        if not 0 <= self.explained < 1 or not 0 <= self.icc <= 1:
            raise ConfigError(
                f"design.baseline: found explained {self.explained} and icc {self.icc}, expected 0 and "
                "above, explained below 1 and icc up to 1."
            )
        if not -1 <= self.correlation <= 1 or self.cluster_size < 1 or self.cluster_size_cv < 0:
            raise ConfigError(
                f"design.baseline: found correlation {self.correlation}, cluster_size "
                f"{self.cluster_size}, cluster_size_cv {self.cluster_size_cv}; expected -1 to 1, at "
                "least 1, and 0 or more."
            )

        if self.response is not None and not 0 < self.response <= 1:
            raise ConfigError(
                f"design.baseline.response: found {self.response:g}, expected the share of units that answer, above 0 "
                "and at most 1."
            )

    @property
    def answered_icc(self) -> float:
        """Correlation of two units of one cluster, in what is known of both where only some answer."""
        return self.icc * (1.0 if self.response is None else self.response)

    def value(self, kind: str) -> float | None:
        """The metric itself, where it is known."""
        if kind == "ratio" and self.mean is not None and self.per_mean is not None:
            return self.mean / self.per_mean
        return None if kind == "ratio" else self.mean

    def unit_variances(self, kind: str, quantile: float, effect: float) -> tuple[float, float]:
        """Variance of a unit's part in the metric, in the control and under the effect.

        A mean's is ``sd^2``, an answer's that by the share who answer. A proportion's is ``p (1 - p)``, which the effect changes. A ratio's is
        ``(s_y^2 - 2 R s_xy + R^2 s_x^2) / m_x^2``, a quantile's ``q (1 - q) / f^2``.

        Raises
        ------
        ConfigError
            For what the kind needs and is not there, or a rate that leaves 0 to 1.
        """
        left = 1 - self.explained
        if kind == "proportion":
            rates = (self._given("mean", kind), self._given("mean", kind) + effect)
            if not all(0 < rate < 1 for rate in rates):
                raise ConfigError(
                    f"design: a rate of {rates[0]:g} with an effect of {effect:g} is {rates[1]:g}; "
                    "expected rates above 0 and below 1."
                )
            return left * rates[0] * (1 - rates[0]), left * rates[1] * (1 - rates[1])
        if kind == "ratio":
            upper, lower = self._given("sd", kind), self._given("per_sd", kind)
            below = self._given("per_mean", kind)
            ratio = self._given("mean", kind) / below
            spread = upper**2 - 2 * ratio * self.correlation * upper * lower + (ratio * lower) ** 2
            if not spread > 0:
                raise ConfigError(
                    "design.baseline: the ratio does not vary over units, so that one unit would do; "
                    "look at correlation, sd and per_sd."
                )
            return (left * spread / below**2,) * 2
        if kind == "quantile":
            density = self.density
            if density is None:
                z = float(special.ndtri(quantile))
                density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / self._given("sd", kind)
            return (left * quantile * (1 - quantile) / density**2,) * 2
        if kind == "answer":
            return (left * self._given("sd", kind) ** 2 / self._given("response", kind),) * 2
        return (left * self._given("sd", kind) ** 2,) * 2

    def _given(self, name: str, kind: str) -> float:
        value = getattr(self, name)
        if value is None:
            raise ConfigError(
                f"design.baseline.{name}: found none, and {'an' if kind == 'answer' else 'a'} {kind} needs it. Give it, or a table of "
                "past outcomes (--table)."
            )
        return float(value)
