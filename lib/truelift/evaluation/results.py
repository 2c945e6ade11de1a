"""What an evaluation leaves behind: means with intervals, segments, differences."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.evaluation.by_lot_results import LotEvaluation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measure:
    """A metric's mean over the evaluated rows.

    Parameters
    ----------
    name : str
    k : int or None
        Length of the list that it looks at.
    value : float
    ci_lower, ci_upper : float or None
        95% interval, clustered by user; None where there is none: coverage and Gini are of all
        lists together, and one user has no spread.
    """

    name: str
    k: int | None
    value: float
    ci_lower: float | None = None
    ci_upper: float | None = None

    @property
    def label(self) -> str:
        """Such as ``ndcg@10``."""
        return self.name if self.k is None else f"{self.name}@{self.k}"


@dataclass(frozen=True)
class SegmentMeasures:
    """Measures of a part of the users, or of the wanted items of a kind.

    Parameters
    ----------
    segment : str
        One of :data:`truelift.evaluation.segment_names.SEGMENTS`.
    users : int
    measures : tuple of Measure
    """

    segment: str
    users: int
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Difference:
    """A ranker less the best baseline, user by user.

    Parameters
    ----------
    versus : str
        The baseline, chosen on the validation part.
    name, k
        The metric.
    mean, ci_lower, ci_upper : float
        Mean difference with its 95% interval (Student t, users as clusters).
    p_value : float
        Two-sided, of no difference.
    """

    versus: str
    name: str
    k: int | None
    mean: float
    ci_lower: float
    ci_upper: float
    p_value: float


@dataclass(frozen=True)
class RankingMetrics:
    """Full-ranking quality of one ranker on the test part.

    Parameters
    ----------
    model : str
        Name of the model or baseline.
    hit_rate, ndcg : float
        Means over users of HitRate@k and NDCG@k.
    users : int
        Users evaluated.
    k : int
        Length of the ranked list.
    ndcg_ci_lower, ndcg_ci_upper : float
        95% interval of the mean NDCG over users.
    measures : tuple of Measure
        Every metric at every cut-off.
    segments : tuple of SegmentMeasures
        NDCG, hit rate and MRR at ``k`` in each segment that has users.
    differences : tuple of Difference
        To the best baseline; empty for that baseline itself.
    """

    model: str
    hit_rate: float
    ndcg: float
    users: int
    k: int
    ndcg_ci_lower: float
    ndcg_ci_upper: float
    measures: tuple[Measure, ...] = ()
    segments: tuple[SegmentMeasures, ...] = ()
    differences: tuple[Difference, ...] = ()

    def measure(self, name: str, k: int | None = None) -> Measure | None:
        """The measure of this name, at ``k`` or at the metrics' own cut-off; None if absent."""
        wanted = self.k if k is None else k
        return next((m for m in self.measures if m.name == name and m.k in (wanted, None)), None)

    def difference(self, name: str) -> Difference | None:
        """The difference of this metric to the best baseline."""
        return next((d for d in self.differences if d.name == name), None)

    def __repr__(self) -> str:
        return (
            f"RankingMetrics({self.model}: NDCG@{self.k} {self.ndcg:.4f} "
            f"[{self.ndcg_ci_lower:.4f}, {self.ndcg_ci_upper:.4f}], "
            f"HitRate@{self.k} {self.hit_rate:.4f}, {self.users:,} users)"
        )


@dataclass(frozen=True)
class EvaluationResult:
    """Registered models beside each other, on one split.

    Parameters
    ----------
    test : tuple of RankingMetrics
    split : dict of str to str
    seen_items : str
        ``'keep'`` or ``'drop'``.
    best_baseline : str or None
        Chosen on the validation part.
    left_out : int
        Users whose wanted items were all seen, which ``drop`` leaves nothing to rank for.
    versions : dict of str to str
        Registered version of each model.
    notes : tuple of str
        What was left out, and warnings.
    by_lot : LotEvaluation, optional
        The models on ``sequence.evaluation.table``.
    """

    test: tuple[RankingMetrics, ...]
    split: dict[str, str]
    seen_items: str
    best_baseline: str | None
    left_out: int
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    by_lot: LotEvaluation | None = None

    def __repr__(self) -> str:
        ranked = "; ".join(f"{m.model} NDCG@{m.k} {m.ndcg:.4f}" for m in self.test)
        return f"EvaluationResult(seen items {self.seen_items}; {ranked})"

    def to_pandas(self) -> pd.DataFrame:
        """Every measure, one row a ranker and metric."""
        import pandas as pd

        return pd.DataFrame(
            [{"model": m.model, **asdict(measure)} for m in self.test for measure in m.measures]
        )

    def summary(self) -> str:
        """A line a ranker, with its difference to the best baseline."""
        lines = [f"test part: {', '.join(f'{k} {v}' for k, v in self.split.items())}"]
        lines.append(f"seen items: {self.seen_items}; best baseline: {self.best_baseline}")
        width = max(len(m.model) for m in self.test)
        for metrics in self.test:
            line = (
                f"  {metrics.model:<{width}}  NDCG@{metrics.k} {metrics.ndcg:.4f} "
                f"[{metrics.ndcg_ci_lower:.4f}, {metrics.ndcg_ci_upper:.4f}]  "
                f"HitRate@{metrics.k} {metrics.hit_rate:.4f}"
            )
            found = metrics.difference("ndcg")
            if found is not None:
                line += (
                    f"  over best baseline {found.mean:+.4f} "
                    f"[{found.ci_lower:+.4f}, {found.ci_upper:+.4f}], p {found.p_value:.2g}"
                )
            lines.append(line)
        by_lot = [self.by_lot.summary()] if self.by_lot is not None else []
        return "\n".join([*lines, *by_lot, *self.notes])
