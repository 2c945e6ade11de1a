"""Fits a rule for every fold's complement, and one of all rows, from sums that add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pyarrow as pa

from truelift.effects.panel.source import PanelSource, State
from truelift.errors import DataError
from truelift.policy.options import LearnOptions
from truelift.policy.rows import BlockReader
from truelift.policy.rules import Columns, LinearRule, Rule, TreeRule
from truelift.policy.trees.bins import Bins, bins_of
from truelift.policy.trees.fit import TreeOptions, fit_trees, unseen_folds
from truelift.policy.trees.histograms import CodedRows, Request, Sums, SumsInMemory, add_rows
from truelift.progress import Tell

#: Rows that edges of bins and scales of numbers are taken from.
SAMPLE = 100_000
BATCH = 32_768
# Numbers of one answer of a pass over a lake, by bucket.
_ANSWER = 1_000_000
_RIDGE = 1e-8
# A threshold that no forecast reaches, as a number that JSON knows.
NEVER = 1e300


@dataclass(frozen=True)
class Learned:
    """A rule a fold, that has not seen its units; of all folds but two, for every two; and of all units."""

    of_folds: tuple[Rule, ...]
    of_pairs: tuple[Rule, ...]
    of_all: Rule

    def without(self, one: int, other: int) -> Rule:
        """The rule that has seen neither fold."""
        pair = (min(one, other), max(one, other))
        return self.of_pairs[list(combinations(range(len(self.of_folds)), 2)).index(pair)]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All, in the order of :func:`~.trees.fit.unseen_folds`."""
        return (*self.of_folds, *self.of_pairs, self.of_all)

    @staticmethod
    def of(rules: Sequence[Rule], folds: int) -> Learned:
        """The rules in that order."""
        return Learned(tuple(rules[:folds]), tuple(rules[folds:-1]), rules[-1])


@dataclass(frozen=True, eq=False)
class Fitting:
    """What fits read.

    Parameters
    ----------
    source : PanelSource
        Rows of :mod:`truelift.policy.rows`.
    reader : BlockReader
    options : LearnOptions
    numbers, texts : tuple of str
        Columns of the panel that rules may look at.
    folds : int
    progress : callable
    """

    source: PanelSource
    reader: BlockReader
    options: LearnOptions
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    folds: int
    progress: Tell = lambda text: None

    def learned(self) -> Learned:
        """The rules, by ``options.method``.

        Raises
        ------
        DataError
            For covariates that cannot be binned, and fewer rows than a leaf needs.
        """
        rows = sum(self.source.bucket_rows().values())
        if rows < 2 * self.options.min_leaf and self.options.method == "tree":
            raise DataError(
                f"min_leaf: found {self.options.min_leaf:,} units a leaf and {rows:,} units in all, "
                "expected at least two leaves' worth. Lower min_leaf, or take more units."
            )
        sample = self._sample()
        if self.options.method == "tree":
            return self._trees(sample)
        linear = self._linear(sample)
        return self._thresholds(linear) if self.options.method == "threshold" else linear

    def columns_of(self, batch: pa.RecordBatch) -> Columns:
        """What rules look at."""
        found: dict[str, np.ndarray | pa.Array] = {
            name: self.reader.number(batch, name) for name in self.numbers
        }
        return found | {name: self.reader.texts(batch, name) for name in self.texts}

    def names(self) -> tuple[str, ...]:
        """Columns of the rows."""
        return tuple(self.reader.columns.schema.names[:-1])

    def _sample(self) -> list[pa.RecordBatch]:
        """Rows of the first buckets."""
        found, rows = [], 0
        for batch in self.source.blocks(lambda b, fold: b, self.names(), 1):
            found.append(batch)
            rows += batch.num_rows
            if rows >= SAMPLE:
                break
        return found

    def _sampled(self, sample: list[pa.RecordBatch], name: str) -> np.ndarray:
        return np.concatenate([self.reader.number(batch, name) for batch in sample])

    def _trees(self, sample: list[pa.RecordBatch]) -> Learned:
        numbers = {name: self._sampled(sample, name) for name in self.numbers}
        texts = {
            name: [t for batch in sample for t in self.reader.texts(batch, name).to_pylist()]
            for name in self.texts
        }
        bins = bins_of(numbers, texts, self.options.bins)
        sums = self._sums(bins)
        arms, options = len(self.reader.columns.arms), self.options
        self.progress(f"searching trees of depth {options.depth}")
        found = fit_trees(
            sums, len(bins.covariates), bins.size, arms, self.folds,
            TreeOptions(options.depth, options.min_leaf),
        )  # fmt: skip
        trees = (*found.of_folds, *found.of_pairs, found.of_all)
        return Learned.of([TreeRule(bins, tree) for tree in trees], self.folds)

    def _sums(self, bins: Bins) -> Sums:
        if self.source.spread() is None:
            made = [
                self.coded(batch, bins)
                for batch in self.source.blocks(lambda b, fold: b, self.names(), 1)
            ]
            return SumsInMemory(
                CodedRows(
                    np.concatenate([m.codes for m in made], axis=1),
                    np.concatenate([m.scores for m in made]),
                    np.concatenate([m.fold for m in made]),
                )
            )

        def answer(request: Request) -> np.ndarray:
            parts = []
            for part in request.chunks(_ANSWER):
                kernel = HistogramKernel(self, bins, part)
                parts.append(self.source.sum(kernel, self.names(), BATCH)["sums"])
            return np.concatenate(parts)

        return answer

    def coded(self, batch: pa.RecordBatch, bins: Bins) -> CodedRows:
        """A batch as codes."""
        block = self.reader(batch)
        scores = block.rewards * block.weight[:, None]
        return CodedRows(bins.codes(self.columns_of(batch)), scores, block.fold)

    def _linear(self, sample: list[pa.RecordBatch]) -> Learned:
        if not self.numbers:
            raise DataError("covariates: a linear rule needs numbers, found none.")
        centre, scale = [], []
        for name in self.numbers:
            values = self._sampled(sample, name)
            known = values[np.isfinite(values)]
            centre.append(float(known.mean()) if len(known) else 0.0)
            scale.append(float(known.std()) if len(known) and known.std() > 0 else 1.0)
        empty = LinearRule(self.numbers, tuple(centre), tuple(scale), ())
        self.progress("regressing the scores on the covariates")
        state = self.source.sum(NormalKernel(self, empty), self.names(), BATCH)
        gram, cross = state["gram"], state["cross"]

        def solved(weights: np.ndarray) -> LinearRule:
            left = np.tensordot(weights, gram, axes=1)
            # Of two folds the rule that has seen neither has seen nothing: it forecasts no gain.
            left += (_RIDGE * np.trace(left) / len(left) or 1.0) * np.eye(len(left))
            found = np.linalg.solve(left, np.tensordot(weights, cross, axes=1))
            gain = (found[:, 1:] - found[:, :1]).T
            return replace(empty, coefficients=tuple(tuple(row) for row in gain.tolist()))

        folds = np.arange(self.folds)
        seen = [1.0 - np.isin(folds, gone) for gone in unseen_folds(self.folds)]
        return Learned.of([solved(line) for line in seen], self.folds)

    def _thresholds(self, linear: Learned) -> Learned:
        """Each rule's threshold: the cut on its forecast that gains most on the rows that it has seen."""
        self.progress("looking for the threshold")
        steps = self.options.bins * 16
        state = self.source.sum(ForecastKernel(self, linear, steps), self.names(), BATCH)
        rules = []
        for rule, gain, rows in zip(linear.rules, state["gain"], state["rows"], strict=True):
            edges = _edges(rule, steps)
            # Cell c lies above edge c - 1: treating from it on gains the sum of what follows.
            following, left = gain[::-1].cumsum()[::-1], rows[::-1].cumsum()[::-1]
            fine = (left >= self.options.min_leaf) & (rows.sum() - left >= self.options.min_leaf)
            at = np.where(fine[1:], following[1:], -np.inf)
            best = int(at.argmax())
            assert isinstance(rule, LinearRule)
            if at[best] > max(following[0], 0.0):
                threshold = float(edges[best])
            else:
                threshold = -NEVER if following[0] > 0 else NEVER
            rules.append(replace(rule, threshold=threshold))
        return Learned.of(rules, self.folds)


def _edges(rule: Rule, steps: int) -> np.ndarray:
    """Edges over the forecasts' likely range: three standard deviations on each side."""
    assert isinstance(rule, LinearRule)
    slopes = np.array(rule.coefficients)
    reach = float(np.sqrt((slopes[:, 1:] ** 2).sum(axis=1)).max()) * 3 + 1e-12
    low, high = float(slopes[:, 0].min()) - reach, float(slopes[:, 0].max()) + reach
    return np.linspace(low, high, steps - 1)


@dataclass(frozen=True, eq=False)
class HistogramKernel:
    """A sum kernel that answers a request for histograms."""

    fitting: Fitting
    bins: Bins
    request: Request

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The answer by the rows of one bucket."""
        out = self.request.empty()
        for batch in batches:
            if batch.num_rows:
                add_rows(self.request, self.fitting.coded(batch, self.bins), out)
        return {"sums": out}

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return HistogramKernel, (travelling(self.fitting), self.bins, self.request)


@dataclass(frozen=True, eq=False)
class NormalKernel:
    """A sum kernel of normal equations by fold."""

    fitting: Fitting
    rule: LinearRule

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """Sums of one bucket."""
        folds, arms = self.fitting.folds, len(self.fitting.reader.columns.arms)
        p = 1 + len(self.rule.names)
        gram, cross = np.zeros((folds, p, p)), np.zeros((folds, p, arms))
        for batch in batches:
            block = self.fitting.reader(batch)
            z = self.rule.features(self.fitting.columns_of(batch))
            for k in np.unique(block.fold):
                own = block.fold == k
                weighted = z[:, own] * block.weight[own]
                gram[k] += weighted @ z[:, own].T
                cross[k] += weighted @ block.rewards[own]
        return {"gram": gram, "cross": cross}

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return NormalKernel, (travelling(self.fitting), self.rule)


@dataclass(frozen=True, eq=False)
class ForecastKernel:
    """A sum kernel: gain of the best arm by cells of its forecast, by every rule that has not seen the row."""

    fitting: Fitting
    learned: Learned
    steps: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """Sums of one bucket."""
        rules, unseen = self.learned.rules, unseen_folds(self.fitting.folds)
        gain, rows = np.zeros((len(rules), self.steps)), np.zeros((len(rules), self.steps))
        for batch in batches:
            block = self.fitting.reader(batch)
            columns = self.fitting.columns_of(batch)
            for t, rule in enumerate(rules):
                assert isinstance(rule, LinearRule)
                forecast = rule.forecast(columns)
                best = forecast.argmax(axis=0)
                cell = np.searchsorted(_edges(rule, self.steps), forecast.max(axis=0), "left")
                gained = block.rewards[np.arange(len(best)), best + 1] - block.rewards[:, 0]
                seen = ~np.isin(block.fold, unseen[t])
                gain[t] += np.bincount(cell[seen], (gained * block.weight)[seen], self.steps)
                rows[t] += np.bincount(cell[seen], minlength=self.steps)
        return {"gain": gain, "rows": rows}

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return ForecastKernel, (travelling(self.fitting), self.learned, self.steps)


def _nothing(text: str) -> None:
    """Tasks report nothing."""


def travelling(fitting: Fitting) -> Fitting:
    """What tasks need of it: they read batches, not the source, which holds a session."""
    return replace(fitting, source=None, progress=_nothing)  # type: ignore[arg-type]
