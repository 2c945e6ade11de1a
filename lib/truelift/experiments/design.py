"""How large an experiment has to be, what it can find, and how long it takes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import optimize, special

from truelift.errors import ConfigError
from truelift.experiments.design_results import ArmPlan, Design, PowerPoint, SizePoint
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.anytime import boundary, mixture_scale, one_sided_boundary
from truelift.inference.group_sequential import (
    SequentialBounds,
    expected_fraction,
    fixed_drift,
    inflation,
    sequential_power,
    spending_bounds,
)
from truelift.inference.many_to_one import level_of_each
from truelift.inference.power import planned_variance_per_cluster, power, required_clusters

#: A design that finds its effect less often than it misses it is refused.
LEAST_POWER = 0.5
_POINTS = 25
_SIZES = (0.5, 0.75, 1.0, 1.5, 2.0)


def design_experiment(spec: ExperimentSpec) -> Design:
    """Size, detectable effect and duration of an experiment, by its primary metric.

    Parameters
    ----------
    spec : ExperimentSpec
        Of ``design``: ``effect`` (or ``lift``) gives the units, ``units`` the effect that can be
        found, both the power.

    Returns
    -------
    Design

    Raises
    ------
    ConfigError
        For numbers that cannot be, a design that finds nothing, or one that takes too long.
    """
    kind = spec.metric(spec.decides).kind
    if kind != "answer" and spec.design.baseline.response is not None:
        raise ConfigError(
            f"design.baseline.response: found {spec.design.baseline.response:g} beside {spec.decides} of the kind "
            f"{kind}; expected it of the kind answer alone."
        )
    plan = _Plan(spec)
    options = spec.design
    effect = plan.effect()
    if options.units is None and effect is None:
        raise ConfigError(
            "design: found neither effect (or lift) nor units; say which effect should be found, or how "
            "many units there will be."
        )
    units = plan.units_for(effect) if options.units is None else plan.whole(options.units)
    plan.check_units(units)
    detectable = plan.detectable(units)
    found = plan.power(detectable if effect is None else effect, units)
    if effect is not None and found < LEAST_POWER:
        needed = plan.units_for(effect)
        raise ConfigError(
            f"design: {units:,.0f} units find an effect of {effect:g} on {spec.decides} with a chance of "
            f"{found:.0%}, less than they miss it. {needed:,.0f} units find it with {options.power:.0%}; "
            f"{units:,.0f} find an effect of {detectable:.4g}."
        )
    design = plan.described(units, effect, detectable, found)
    if (
        options.most_days is not None
        and design.days is not None
        and design.days > options.most_days
    ):
        raise ConfigError(
            f"design: it takes {design.days:,} days at {options.units_per_day:,g} units a day, more "
            f"than most_days ({options.most_days:g}). Look for a larger effect than {effect or 0:g}, or "
            "let more units in."
        )
    return design


class _Plan:
    """The arithmetic of one specification."""

    def __init__(self, spec: ExperimentSpec):
        self.spec, self.options = spec, spec.design
        self.metric = spec.metric(spec.decides)
        self.base = spec.design.baseline
        self.shares = spec.shares
        self.size = self.base.cluster_size
        # In the good direction, which is what a one-sided test looks for.
        self.sign = self.metric.sign
        self._powers: dict[tuple[float, float], float] = {}

    def effect(self) -> float | None:
        """The effect that should be found, in the metric's units."""
        options, value = self.options, self.base.value(self.metric.kind)
        effect = options.effect
        if options.lift is not None:
            if not value:
                raise ConfigError(
                    "design.lift: a share of the baseline, whose mean is missing or 0 "
                    "(design.baseline). Give it, or effect."
                )
            effect = options.lift * value
        if effect is not None and not self.spec.two_sided and effect * self.sign < 0:
            raise ConfigError(
                f"design: an effect of {effect:g} on {self.spec.decides}, of which {self.metric.better} "
                "is better, with alternative 'greater', which looks for gains alone. Use two-sided."
            )
        return effect

    def whole(self, units: float) -> float:
        """Units of whole clusters."""
        return math.floor(units / self.size + 1e-9) * self.size

    def variance(self, effect: float, arm: int) -> tuple[float, float]:
        """Variance of an arm's difference, by cluster of the pair; and the pair's share."""
        control, treated = self.shares[0], self.shares[arm]
        share = treated / (control + treated)
        kind, quantile = self.metric.kind, self.metric.quantile
        of_control, of_treated = self.base.unit_variances(kind, quantile, effect)
        pooled = share * of_control + (1 - share) * of_treated
        found = planned_variance_per_cluster(
            pooled, self.size, self.base.cluster_size_cv, self.base.answered_icc, share
        )
        return found, control + treated

    def level(self, degrees: float) -> float:
        """Level of one comparison, at one look."""
        spec = self.spec
        return level_of_each(self.shares, degrees, spec.level, spec.two_sided, spec.correction)

    def at_last_look(self, level: float) -> float:
        """The level at which the last look tests, where looks are at any time.

        With the sequence tuned to the last look, its multiple of the standard error does not depend
        on how many clusters that has.
        """
        if self.spec.looks.method != "anytime":
            return level
        rho = mixture_scale(1 - level, 1.0)
        if self.spec.two_sided:
            return float(2 * special.ndtr(-boundary(np.array(1.0), rho, 1 - level)))
        return float(special.ndtr(-one_sided_boundary(np.array(1.0), rho, 1 - level)))

    def bounds(self, level: float) -> SequentialBounds | None:
        """Bounds of the planned looks."""
        looks = self.spec.looks
        if not looks.grouped:
            return None
        shares = (np.arange(looks.planned) + 1) / looks.planned
        return spending_bounds(tuple(shares), looks.method, level, self.spec.two_sided)

    def power(self, effect: float, units: float) -> float:
        """Chance that the arm for which it is smallest shows the effect, at some look."""
        if (effect, units) not in self._powers:
            self._powers[effect, units] = self._smallest_power(effect, units)
        return self._powers[effect, units]

    def _smallest_power(self, effect: float, units: float) -> float:
        reached = effect * self.options.take_up
        chances = []
        for arm in {share: a for a, share in enumerate(self.shares) if a}.values():
            variance, part = self.variance(reached, arm)
            clusters = units / self.size * part
            degrees = max(clusters - 2, 1.0)
            level = self.level(degrees)
            error = math.sqrt(variance / clusters)
            chance = power(reached, error, degrees, self.at_last_look(level), self.spec.two_sided)
            bounds = self.bounds(level)
            if bounds is not None and level < chance < 1 - 1e-9:
                drift = fixed_drift(level, chance, self.spec.two_sided)
                chance = sequential_power(bounds, drift)
            chances.append(chance)
        return min(chances)

    def units_for(self, effect: float | None) -> float:
        """Units over all arms with which the effect is found."""
        assert effect is not None
        reached, found = effect * self.options.take_up, 0.0
        for arm in range(1, len(self.shares)):
            variance, part = self.variance(reached, arm)
            clusters = math.inf
            level = self.level(math.inf)
            # With few clusters Dunnett's level depends on how many there are.
            for _ in range(3):
                needed = required_clusters(
                    reached, variance, self.options.power, self.at_last_look(level),
                    self.spec.two_sided,
                )  # fmt: skip
                if needed == clusters:
                    break
                clusters, level = needed, self.level(max(needed - 2.0, 1.0))
            bounds = self.bounds(level)
            if bounds is not None:
                clusters = math.ceil(clusters * inflation(bounds, self.options.power))
            found = max(found, clusters / part)
        # Every arm gets whole clusters.
        return sum(math.ceil(share * found - 1e-9) for share in self.shares) * self.size

    def check_units(self, units: float) -> None:
        """Refuse what leaves an arm without two clusters."""
        least = min(self.shares) * units / self.size
        if least < 2:
            what = "units" if self.size == 1 else "clusters"
            raise ConfigError(
                f"design.units: {units:,.0f} units leave {least:.3g} {what} in the smallest arm; "
                "expected at least two in each."
            )

    def detectable(self, units: float) -> float:
        """The smallest effect in the good direction that is found with the wanted power."""
        target = self.options.power
        scale = math.sqrt(self.variance(0.0, 1)[0] / (units / self.size))
        upper = self.sign * 4 * scale / self.options.take_up
        limit = self._limit()
        while True:
            beyond = limit is not None and abs(upper) >= abs(limit)
            if beyond:
                assert limit is not None
                upper = limit
            if self.power(upper, units) >= target:
                break
            if beyond or abs(upper) > 1e9 * scale:
                raise ConfigError(
                    f"design: {units:,.0f} units find no effect on {self.spec.decides} with a power of "
                    f"{target:.0%}, however large it is. More units are needed."
                )
            upper *= 2
        root = optimize.brentq(
            lambda effect: self.power(effect, units) - target, 0.0, upper, xtol=1e-6 * scale
        )
        return float(root)

    def _limit(self) -> float | None:
        """The largest effect that a rate can have."""
        mean = self.base.mean
        if self.metric.kind != "proportion" or mean is None:
            return None
        edge = (1 - mean) if self.sign > 0 else -mean
        return edge * 0.999 / self.options.take_up

    def days(self, units: float) -> int | None:
        """Whole days in which so many units come."""
        a_day = self.options.units_per_day
        return None if a_day is None else math.ceil(units / a_day - 1e-9)

    def described(
        self, units: float, effect: float | None, detectable: float, found: float
    ) -> Design:
        """The design with its tables."""
        spec, base = self.spec, self.base
        clusters = units / self.size
        level = self.level(max(clusters * (self.shares[0] + min(self.shares[1:])) - 2, 1.0))
        bounds = self.bounds(level)
        looked_for = detectable if effect is None else effect
        deff = 1 + ((1 + base.cluster_size_cv**2) * self.size - 1) * base.answered_icc
        top = max(abs(detectable), abs(looked_for)) * 2
        limit = self._limit()
        top = top if limit is None else min(top, abs(limit))
        effects = self.sign * np.linspace(0.0, top, _POINTS)
        expected = None
        if bounds is not None:
            drift = fixed_drift(level, min(max(self._alone(looked_for, units), 0.051), 0.9999))
            expected = units * expected_fraction(bounds, drift)
        return Design(
            name=spec.name,
            metric=spec.decides,
            kind=self.metric.kind,
            measured_in=self.metric.measured_in,
            unit=" and ".join(spec.units_of),
            arms=tuple(
                ArmPlan(arm, share, share * units, share * clusters)
                for arm, share in zip(spec.labels, self.shares, strict=True)
            ),
            units=units,
            clusters=clusters,
            effect=looked_for,
            effect_given=effect is not None,
            baseline=base.value(self.metric.kind),
            power=found,
            detectable=detectable,
            target=self.options.power,
            level=spec.level,
            level_of_each=level,
            alternative=spec.alternative,
            correction=spec.correction if len(self.shares) > 2 else "none",
            take_up=self.options.take_up,
            design_effect=deff,
            explained=base.explained,
            response=base.response,
            looks=spec.looks.planned if bounds is not None else 1,
            method=spec.looks.method,
            critical=() if bounds is None else bounds.critical,
            expected_units=expected,
            days=self.days(units),
            curve=tuple(PowerPoint(float(e), self.power(float(e), units)) for e in effects),
            sizes=tuple(
                SizePoint(n, self.detectable(n), self.days(n))
                for n in (self.whole(units * times) for times in _SIZES)
                if min(self.shares) * n / self.size >= 2
            ),
        )

    def _alone(self, effect: float, units: float) -> float:
        """The power of one look."""
        single = replace(self.spec, looks=replace(self.spec.looks, method="none"))
        return _Plan(single).power(effect, units)
