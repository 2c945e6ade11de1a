"""The scores pass: sums by cluster for every estimand, and what overlap and balance need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import count_nameless, hash_repeated, mix
from truelift.effects.nuisances.fitted import KnownPropensity, Nuisances
from truelift.effects.panel.arms import Levels
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.panel.design import Design
from truelift.effects.panel.units import units_of
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.power_sums import PowerLines
from truelift.effects.scores.presence import PresenceLines, PresenceTally
from truelift.effects.scores.quantities import UnitBlock, clipped, quantities
from truelift.inference.clusters import ClusterSums, Summands, bucket_sketch
from truelift.settings.chances import CHANCES_TOLERANCE

BINS = 20
#: Trimming thresholds of the propensity that are tried (Crump et al. 2009 choose among them).
TRIM_LEVELS = (0.02, 0.05, 0.1, 0.15, 0.2)
# Bins of 1 / e_a + 1 / e_0, on a logarithmic scale from 4: what Crump's rule looks at.
_STEPS, _FIRST, _LAST = 400, 4.0, 4.0e4


@dataclass(frozen=True, eq=False)
class Scoring:
    """Everything that turns a batch of rows into scores.

    Parameters
    ----------
    columns : PanelColumns
    design : Design
    outcomes : Scale
    nuisances : Nuisances
    folds : int
    clip : float
    clip_levels : tuple of float
        Levels at which the contrasts are followed.
    layout : ScoreLayout
    """

    columns: PanelColumns
    design: Design
    outcomes: Scale
    nuisances: Nuisances
    folds: int
    clip: float
    clip_levels: tuple[float, ...]
    layout: ScoreLayout

    def units(self, batch: pa.RecordBatch, bucket: int) -> tuple[np.ndarray, UnitBlock]:
        """Features with intercept, and the units with their out-of-fold predictions."""
        columns = self.columns
        fold = bucket % self.folds
        seen = units_of(batch, fold, columns, self.design, self.outcomes)
        found = self.nuisances.predict(seen.features, fold)
        propensity = found.propensity
        if columns.propensity:
            propensity = KnownPropensity(columns.propensity).of(batch)
        units = UnitBlock(
            arm=seen.arm,
            outcome=seen.outcome,
            propensity=propensity,
            outcome_regression=found.outcome_regression,
            weight=seen.weight,
            cells=[levels.codes(batch) for levels in columns.groups],
            policies=[_chosen(choice, batch) for _, choice in columns.policies],
        )
        return seen.features, units

    def clusters(self, batch: pa.RecordBatch) -> np.ndarray:
        """Hashes of the units' clusters."""
        return hash_repeated(batch.column(batch.schema.get_field_index(self.columns.cluster)))

    def second_clusters(self, batch: pa.RecordBatch) -> np.ndarray:
        """Hashes of the units' clusters in the second way."""
        assert self.columns.second_cluster is not None
        return hash_repeated(
            batch.column(batch.schema.get_field_index(self.columns.second_cluster))
        )

    def without_cluster(self, batch: pa.RecordBatch) -> np.ndarray:
        """Rows that name no cluster, and those that name "nan" or the like; by way (2 x 2)."""
        names = (self.columns.cluster, self.columns.second_cluster)
        columns = [batch.column(batch.schema.get_field_index(n)) if n else None for n in names]
        return np.array([(0, 0) if c is None else count_nameless(c) for c in columns], dtype=float)

    def quantities(self, units: UnitBlock) -> Iterator[Summands]:
        """All summands of the layout."""
        trims = TRIM_LEVELS[: self.layout.trims]
        return quantities(units, self.layout, self.clip, self.clip_levels, trims)


def _chosen(choice: Levels | int, batch: pa.RecordBatch) -> np.ndarray:
    if isinstance(choice, Levels):
        return choice.codes(batch)
    return np.full(batch.num_rows, choice)


@dataclass(frozen=True, eq=False)
class ScoreSumsKernel:
    """``total`` and ``cross``, sums over clusters of S and S S', and the sums of the checks.

    With ``powers``, also their sums of powers (:meth:`~.power_sums.PowerLines.sums`); with a second
    cluster column ``pair_cross``, the same as ``cross`` over pairs of a first and a second cluster.

    By arm a: ``histogram`` of its own propensity (rows: units of the arm, and all others),
    ``odds`` (a histogram of 1 / e_a + 1 / e_0), ``clipped`` units and those of the arm whose
    control is clipped, ``weights`` and ``weighted_features`` with the weights of the mean
    (1 / e_a) and of the ATT (control units only, e_a / e_0); ``weighted_squares`` are those
    of the features' squares, ``squared_weights`` (4 x A x 2 x q) the features' powers with the squares
    of these weights, and ``feature_powers`` (4 x A x q) those of the arms as they are.
    """

    scoring: Scoring
    powers: PowerLines | None = None

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """The state of one bucket."""
        scoring = self.scoring
        arms, outcomes = scoring.layout.arms, scoring.layout.outcomes
        # Beside the layout's lines: the assignment's surprises, and in which clusters cells are.
        lines = len(scoring.layout)
        presence, tally = PresenceLines(scoring.layout, lines + arms), PresenceTally(scoring.layout)
        sums = ClusterSums(lines + arms + len(presence))
        width = len(scoring.design) + arms - 1
        pairs = ClusterSums(len(scoring.layout)) if scoring.columns.second_cluster else None
        state = {
            "histogram": np.zeros((arms, 2, BINS)),
            "odds": np.zeros((arms, _STEPS)),
            "clipped": np.zeros((arms, 2)),
            "weights": np.zeros((arms, 2, 2)),
            "weighted_features": np.zeros((arms, 2, width)),
            "squared_weights": np.zeros((4, arms, 2, width)),
            "weighted_squares": np.zeros((arms, 2, width)),
            "feature_powers": np.zeros((4, arms, width)),
            "log_loss": np.zeros(1),
            "residual_squares": np.zeros((arms, outcomes)),
            "odd_propensity": np.zeros(2),
            "max_propensity_total": np.full(2, -np.inf),
            "odd_choice": np.zeros(1),
            "surprise_squares": np.zeros(1),
            "no_cluster": np.zeros((2, 2)),
        }
        for batch in batches:
            state["no_cluster"] += scoring.without_cluster(batch)
            block, units = scoring.units(batch, bucket)
            if scoring.columns.propensity:
                units = _checked_chances(state, units)
            _add_overlap(state, block, units, scoring.clip)
            state["odd_choice"] += sum(np.count_nonzero(p < 0) for p in units.policies)
            clusters, own = scoring.clusters(batch), list(scoring.quantities(units))
            if pairs is not None:
                pairs.add_summands(mix(clusters) ^ scoring.second_clusters(batch), own)
            surprise = assignment_surprise(units)
            state["surprise_squares"] += np.sum(surprise**2)
            own.append(Summands(surprise, lines + np.arange(arms)[None]))
            own += presence.summands(units)
            tally.add(units)
            sums.add_summands(clusters, own)
        keys, by_cluster = sums.finish()
        by_cluster, surprises, there = np.split(by_cluster, [lines, lines + arms])
        state |= tally.finish()
        inside = [
            scoring.layout.place("cell", g, level)
            for g, levels in enumerate(scoring.layout.cells)
            for level in range(levels)
        ]
        state["cell_clusters"] = np.count_nonzero(by_cluster[inside], axis=1).astype(float)
        state["present"] = np.count_nonzero(there, axis=1).astype(float)
        state["surprise_by_cluster"] = np.array([np.sum(surprises**2)])
        state["surprise_total"] = surprises.sum(axis=1)
        state["surprise_cross"] = surprises @ surprises.T
        state["total"] = by_cluster.sum(axis=1)
        state["cross"] = by_cluster @ by_cluster.T
        members = by_cluster[scoring.layout.lines([("arm", a) for a in range(arms)])[0]] != 0
        state["clusters"] = np.array([len(keys), *members.sum(axis=1)], dtype=float)
        state["max_sketch"] = bucket_sketch(keys, bucket)
        if pairs is not None:
            pair_keys, by_pair = pairs.finish()
            state["pair_cross"] = by_pair @ by_pair.T
            state["pairs"] = np.array([float(len(pair_keys))])
        if self.powers is not None:
            state |= self.powers.sums(by_cluster)
        return state


def _checked_chances(state: dict[str, np.ndarray], units: UnitBlock) -> UnitBlock:
    """Count rows whose known chances cannot be; their place take equal ones, and the run is refused."""
    chances = units.propensity
    inside = ((chances > 0) & (chances < 1)).all(axis=0)
    total = chances.sum(axis=0)
    adds_up = np.abs(total - 1.0) <= CHANCES_TOLERANCE
    state["odd_propensity"] += (np.count_nonzero(~inside), np.count_nonzero(inside & ~adds_up))
    if inside.any():
        most = (total[inside].max(), -total[inside].min())
        np.maximum(state["max_propensity_total"], most, out=state["max_propensity_total"])
    fine = inside & adds_up
    if fine.all():
        return units
    return replace(units, propensity=np.where(fine, chances, 1.0 / len(chances)))


def _add_overlap(
    state: dict[str, np.ndarray], block: np.ndarray, units: UnitBlock, clip: float
) -> None:
    raw, own_weight = units.propensity, units.weight
    propensity = clipped(raw, clip)
    arms = len(raw)
    weights = np.zeros((arms, 2, len(units.arm)))
    for a in range(arms):
        own = units.arm == a
        bins = np.clip((raw[a] * BINS).astype(np.int64), 0, BINS - 1)
        counts = np.bincount(bins + BINS * ~own, minlength=2 * BINS)
        state["histogram"][a] += counts.reshape(2, BINS)
        outside = (raw[a] < clip) | (raw[a] > 1.0 - clip)
        state["clipped"][a] += (np.count_nonzero(outside), np.count_nonzero(own & (raw[0] < clip)))
        if a:
            with np.errstate(divide="ignore"):
                spread = 1.0 / raw[a] + 1.0 / raw[0]
            state["odds"][a] += np.bincount(_odds_bin(spread), minlength=_STEPS)
        members = np.flatnonzero(own)
        residual = units.outcome[:, members] - units.outcome_regression[a][:, members]
        squares, found = residual**2, np.log(np.maximum(raw[a, members], 1e-300))
        mine = np.ones(len(members)) if own_weight is None else own_weight[members]
        state["log_loss"] -= found @ mine
        state["residual_squares"][a] += squares @ mine
        np.divide(1.0, propensity[a], out=weights[a, 0], where=own)
        np.divide(propensity[a], propensity[0], out=weights[a, 1], where=units.arm == 0)
    if own_weight is not None:
        weights *= own_weight
    flat = weights.reshape(2 * arms, -1)
    state["weights"] += np.stack([weights.sum(axis=2), (weights**2).sum(axis=2)], axis=2)
    # Log odds against the control are balanced too: the direction in which the arms differ most.
    floor = np.maximum(propensity, 1e-12)
    features = np.vstack([block[1:], np.log(floor[1:] / floor[0])])
    state["weighted_features"] += (flat @ features.T).reshape(arms, 2, -1)
    heavy, power = flat**2, features
    members = (units.arm == np.arange(arms)[:, None]).astype(float)
    if own_weight is not None:
        members *= own_weight
    for degree in range(4):
        state["squared_weights"][degree] += (heavy @ power.T).reshape(arms, 2, -1)
        state["feature_powers"][degree] += members @ power.T
        if degree == 1:
            state["weighted_squares"] += (flat @ power.T).reshape(arms, 2, -1)
        power = power * features


def assignment_surprise(units: UnitBlock) -> np.ndarray:
    """What the propensities did not foresee of the arms, weighted (A x n)."""
    arms = np.arange(len(units.propensity))[:, None]
    found = (units.arm == arms) - units.propensity
    return found if units.weight is None else found * units.weight


def _odds_bin(spread: np.ndarray) -> np.ndarray:
    place = np.log(np.clip(spread, _FIRST, _LAST) / _FIRST) / np.log(_LAST / _FIRST)
    return np.minimum((place * _STEPS).astype(np.int64), _STEPS - 1)


def odds_edges() -> np.ndarray:
    """Upper edges of the bins of ``odds``."""
    return _FIRST * (_LAST / _FIRST) ** (np.arange(1, _STEPS + 1) / _STEPS)
