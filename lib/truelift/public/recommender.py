"""A recommender on a table of interactions at hand: rankers that count, and one that learns if asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import MICROSECONDS, microseconds
from truelift.errors import ConfigError, DataError
from truelift.evaluation import items_together, session_neighbours
from truelift.evaluation.baselines import ALL_TIME, RECENT_DAYS, count_known, rankers, recent_name
from truelift.evaluation.by_lot import LabelledPairs, fresh, judged_by_logs, judged_by_lot
from truelift.evaluation.evaluator import EvaluationOptions, Evaluator, Ranker
from truelift.evaluation.finish import Finish
from truelift.evaluation.measures import Catalogue
from truelift.evaluation.results import RankingMetrics
from truelift.evaluation.splits import LeaveOneOut
from truelift.evaluation.unbiased import Judged
from truelift.extras import naming_extras
from truelift.logs.sessions.boundaries import sort_and_find_gaps
from truelift.models.sequence.histories import Histories
from truelift.progress import Tell
from truelift.public.sequence_ranker import options_of, trained_ranker
from truelift.public.tables import instants, is_spark_frame, named_columns, opened, text_codes
from truelift.public.user_lists import key_of
from truelift.serving.ranking import rank
from truelift.settings import SequenceOptions, SessionOptions
from truelift.settings.sequence_sections import EvaluationSection

if TYPE_CHECKING:
    import pandas as pd

_STEP = "event"
_GAP = SessionOptions.timeout_seconds * MICROSECONDS
# Users whom one block of scores is made for.
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Recommender:
    """Rankers beside each other on the test, and the best of them on all interactions.

    A sequence model stays as it was trained, on all but the last two interactions of a user; what it
    ranks by is the whole history.

    Parameters
    ----------
    metrics : tuple of RankingMetrics
        On the last interaction of every user with three or more, ranked among all items.
    best : str
        The ranker with the highest NDCG on the last but one: it makes the recommendations.
    seen_items : str
        ``'keep'``, or ``'drop'`` where items of a user's history may not come again.
    left_out : int
        Interactions without a user, an item or a time.
    by_lot, by_logs : mapping of str to mapping of str to Judged
        By ranker and measure, on an evaluation table; and what weights say of the same from the log
        (:mod:`truelift.evaluation.by_lot`). Empty without one.
    not_judged : int
        Rows of the evaluation table of users without three interactions, or without user, item or label; of an item
        that the user's history has; and those that come again or contradict one another.
    """

    metrics: tuple[RankingMetrics, ...]
    best: str
    seen_items: str
    left_out: int
    _ranker: Ranker = field(repr=False)
    _histories: Histories = field(repr=False)
    _items: pa.Array = field(repr=False)
    by_lot: Mapping[str, Mapping[str, Judged]] = field(default_factory=dict)
    by_logs: Mapping[str, Mapping[str, Judged]] = field(default_factory=dict)
    not_judged: int = 0

    def recommend(self, users: Iterable[Any] | None = None, count: int = 10) -> pa.Table:
        """The best items of each user, by their whole history.

        Parameters
        ----------
        users : iterable, optional
            Keys of known users; all of them by default.
        count : int

        Returns
        -------
        pyarrow.Table
            ``user_key, rank`` (from 1)``, item_id, score``.

        Raises
        ------
        DataError
            For a user of whom there is no interaction.
        """
        if count < 1:
            raise ConfigError(f"count: found {count}, expected at least 1.")
        chosen = self._histories
        if users is not None:
            wanted = [key_of(user) for user in users]
            known = set(chosen.users.tolist())
            if strangers := [user for user in wanted if user not in known]:
                raise DataError(
                    f"users: found {strangers[0]!r}, of whom there is no interaction (and "
                    f"{len(strangers) - 1:,} more like that). Expected users of the table."
                )
            chosen = chosen.take(np.isin(chosen.users, np.array(wanted, dtype=object)))
        parts = [
            self._block(chosen.slice(start, min(start + _BLOCK, len(chosen))), count)
            for start in range(0, len(chosen), _BLOCK)
        ]
        empty = self._block(chosen.slice(0, 0), count) if not parts else parts[0]
        return pa.concat_tables(parts or [empty])

    def _block(self, histories: Histories, count: int) -> pa.Table:
        width = min(count, len(self._items))
        if not len(histories):
            places, scores = np.zeros((0, width), np.int64), np.zeros((0, width))
        else:
            found = np.array(self._ranker.scores(histories), dtype=np.float64)
            found[:, 0] = -np.inf  # padding is no item
            places, scores = rank(found, histories, width, self.seen_items)
        there = (places > 0).ravel()
        users = pa.array(np.repeat(histories.users, width)[there], pa.string())
        ranks = np.tile(np.arange(1, width + 1, dtype=np.int32), len(histories))[there]
        items = self._items.take(pa.array(places.ravel()[there] - 1, pa.int64()))
        return pa.table(
            {"user_key": users, "rank": ranks, "item_id": items, "score": scores.ravel()[there]}
        )

    def to_pandas(self) -> pd.DataFrame:
        """A row a ranker: NDCG with its 95% interval, hit rate, users."""
        import pandas as pd

        rows = [
            (m.model, m.ndcg, m.ndcg_ci_lower, m.ndcg_ci_upper, m.hit_rate, m.users, m.k)
            for m in self.metrics
        ]
        names = ["ranker", "ndcg", "ndcg_ci_lower", "ndcg_ci_upper", "hit_rate", "users", "k"]
        return pd.DataFrame(rows, columns=names)

    def summary(self) -> str:
        """A sentence a ranker, the best on the test first."""
        first = self.metrics[0]
        told = [
            f"The last interaction of {first.users:,} users, ranked among {len(self._items):,} items "
            f"({self.seen_items} seen ones). {self.best!r} did best on the one before it, and makes "
            "the recommendations."
        ]
        told += [
            f"{m.model}: NDCG@{m.k} {m.ndcg:.4f} (95% interval {m.ndcg_ci_lower:.4f} to "
            f"{m.ndcg_ci_upper:.4f}), hit rate@{m.k} {m.hit_rate:.4f}"
            for m in sorted(self.metrics, key=lambda m: -m.ndcg)
        ]
        for name, own in self.by_lot.items():
            line = f"{name}, rows by lot:"
            for measure, figure in own.items():
                line += f" {measure} {figure.value:.4f} ({figure.lower:.4f} to {figure.upper:.4f}"
                logs = self.by_logs.get(name, {}).get(measure)
                line += f"; from logs {logs.value:.4f})" if logs is not None else ")"
            told.append(line)
        if self.not_judged:
            told.append(f"Not judged: {self.not_judged:,} rows of the evaluation table.")
        if self.left_out:
            told.append(f"Left out: {self.left_out:,} interactions without a user, item or time.")
        return "\n".join(told)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"Recommender({self.summary()})"

    def _repr_html_(self) -> str:
        return f"<p>{self.summary().splitlines()[0]}</p>{self.to_pandas().to_html(index=False)}"


def fit_recommender(
    interactions: Any,
    *,
    user: str = "user_key",
    item: str = "item_id",
    time: str = "event_time",
    unit: str | None = None,
    seen_items: str = "keep",
    top_k: int = 10,
    most_neighbours: int = EvaluationSection.neighbours,
    model: str | SequenceOptions | None = None,
    seed: int = 7,
    progress: Tell = lambda text: None,
    evaluation: Any = None,
    label: str = "label",
    positive: float = 1.0,
) -> Recommender:
    """Fit and measure rankers on a table of interactions: those that count, and a sequence model.

    Popularity of all time and of the latest weeks, personal frequency (where seen items may come
    again), item co-occurrence and session kNN, by the pieces of ``train_sequence`` and with its
    leave-one-out split and full ranking: fitted on all but the last two interactions of a user,
    chosen by the last but one, measured on the last.

    Parameters
    ----------
    interactions : DataFrame, Arrow table, str or path
        As for :func:`~truelift.public.effects.estimate_effects`; no DataFrame of Spark.
    user, item, time : str
        Columns; see :func:`~truelift.public.sessions.sessions`.
    unit : str, optional
        What numbers in ``time`` count since 1970: ``'s'``, ``'ms'``, ``'us'`` or ``'ns'``.
    seen_items : str
        ``'drop'`` where an item of the history may not be recommended again.
    top_k : int
        Length of the list that is measured.
    most_neighbours : int
        Of an item or a session, that count.
    model : str or SequenceOptions, optional
        A sequence model that is trained beside them, in a process of its own: a recipe (``'sasrec'``,
        ``'gru'``, the path of a YAML file) or options. Needs the extra ``[train]``, and Horovod for
        more than one process.
    seed : int
        Of the model's training.
    progress : callable
        Told a line now and then while the model trains.
    evaluation : DataFrame, Arrow table, str or path, optional
        Rows ``user, item, label`` that were drawn by lot (asked of everybody, or shown at random): every ranker
        is judged on them too, beside what the log says of the same by weights.
    label : str
        Its column of labels; those of at least ``positive`` are positive.
    positive : float

    Returns
    -------
    Recommender
        Prints sentences; ``metrics``, ``recommend()``, ``to_pandas()``.

    Raises
    ------
    TrueliftError
        For a table, column or option that cannot be used.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.fit_recommender("ratings.csv", user="u", item="i", time="t", unit="s")  # doctest: +SKIP
    """
    if seen_items not in ("keep", "drop"):
        raise ConfigError(f"seen_items: found {seen_items!r}, expected 'keep' or 'drop'.")
    for name, number in (("top_k", top_k), ("most_neighbours", most_neighbours)):
        if number < 1:
            raise ConfigError(f"{name}: found {number}, expected at least 1.")
    if is_spark_frame(interactions):
        raise ConfigError(
            "interactions: found a DataFrame of Spark, expected a table in memory or a path. Spark's "
            "way is `truelift train_sequence`."
        )
    columns = {"user_key": (user, "user"), "item_id": (item, "item"), "event_time": (time, "time")}
    with naming_extras():
        learned = options_of(model, seen_items, top_k) if model is not None else None
        table = opened(interactions)
        rows = named_columns(table, columns, frozenset({"user_key", "item_id"}))
        coded = pa.table(
            {
                "user_key": text_codes(rows["user_key"], table.name, user),
                "item_id": text_codes(rows["item_id"], table.name, item),
                "event_time": instants(rows["event_time"], table.name, time, unit),
            }
        )
        whole = coded.filter(
            pc.and_(
                pc.and_(pc.is_valid(coded["user_key"]), pc.is_valid(coded["item_id"])),
                pc.is_valid(coded["event_time"]),
            )
        )
        histories, items = histories_of(whole)
        options = EvaluationOptions(top_k=top_k, seen_items=seen_items, step=_STEP)
        _check_long_enough(histories, table.name)
        trained: dict[str, Ranker] = {}
        if learned is not None:
            trained = dict([trained_ranker(histories, len(items), learned, seed, progress)])
        split = LeaveOneOut(_STEP)
        known = split.training(histories)
        work = {**_rankers(known, len(items), seen_items, most_neighbours), **trained}
        best, metrics = _measured(histories, len(items), options, work)
        by_lot: dict[str, dict[str, Judged]] = {}
        by_logs: dict[str, dict[str, Judged]] = {}
        missed = 0
        if evaluation is not None:
            test = split.test(histories)
            rows, missed = _labelled(
                evaluation, (user, item, label), positive, test[0].users, items
            )
            rows, more = fresh(rows, test[0], len(items))
            missed += sum(more.values())
            by_lot = judged_by_lot(work, test[0], rows, top_k)
            popularity = np.bincount(known.items, minlength=len(items) + 1).astype(np.float64)
            by_logs = judged_by_logs(work, test, popularity, float(rows.labels.mean()))
        final = trained.get(best)
        if final is None:
            final = _rankers(histories, len(items), seen_items, most_neighbours, best)[best]
        return Recommender(
            metrics, best, seen_items, coded.num_rows - whole.num_rows, final, histories, items,
            by_lot, by_logs, missed,
        )  # fmt: skip


def histories_of(interactions: pa.Table) -> tuple[Histories, pa.Array]:
    """Histories in time order, and the items that their numbers (from 1) stand for.

    Interactions at one moment stand in the order of their items; sessions end as
    ``tl.sessions`` ends them.
    """
    users, items = encode(interactions["user_key"]), encode(interactions["item_id"])
    time = microseconds(interactions["event_time"])
    order, jumps = sort_and_find_gaps(users.codes, time, _GAP, (items.codes,))
    owner = users.codes[order]
    present, counts = np.unique(owner, return_counts=True)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    numbers = np.cumsum(jumps)
    first = np.repeat(numbers[offsets[:-1]], counts) if len(order) else numbers
    names = np.array(users.values.take(pa.array(present)).to_pylist(), dtype=object)
    histories = Histories(
        names, offsets, (items.codes[order] + 1).astype(np.int32), time[order],
        (numbers - first).astype(np.int32),
    )  # fmt: skip
    return histories, items.values


def _labelled(
    given: Any, columns: tuple[str, str, str], positive: float, users: np.ndarray, items: pa.Array
) -> tuple[LabelledPairs, int]:
    """Rows of an evaluation table by users' and items' places, and how many cannot be judged."""
    table = opened(given)
    names = dict(zip(("user", "item", "label"), columns, strict=True))
    rows = named_columns(table, {n: (c, n) for n, c in names.items()}, frozenset({"user", "item"}))
    kind = rows["label"].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DataError(f"{table.name}, column {names['label']!r}: found {kind}, expected numbers.")
    own, what = (
        text_codes(rows[n], table.name, names[n]).cast(pa.string()) for n in ("user", "item")
    )
    mark = rows["label"].cast(pa.int8()) if pa.types.is_boolean(kind) else rows["label"]
    value = mark.cast(pa.float64(), safe=False).to_numpy()
    place = pc.fill_null(pc.index_in(own, pa.array(users, pa.string())), -1).to_numpy()
    index = pc.fill_null(pc.index_in(what, items.cast(pa.string())), -1).to_numpy() + 1
    there = (place >= 0) & np.isfinite(value) & pc.is_valid(what).to_numpy(zero_copy_only=False)
    found = LabelledPairs(
        place[there].astype(np.int64), index[there].astype(np.int64), value[there] >= positive
    )
    return found, int((~there).sum())


def _check_long_enough(histories: Histories, table: str) -> None:
    if not len(LeaveOneOut(_STEP).test(histories)[0]):
        raise DataError(
            f"{table}: no user has three interactions, so none can be held out. Expected a row an "
            "interaction; are user and item the columns that were meant?"
        )


def _measured(
    histories: Histories,
    items: int,
    options: EvaluationOptions,
    work: Mapping[str, Ranker],
) -> tuple[str, tuple[RankingMetrics, ...]]:
    """The best ranker on the validation part, and all of them on the test part."""
    split = LeaveOneOut(_STEP)
    training = split.training(histories)
    test, validation = split.test(histories), split.validation(histories)
    popularity = np.bincount(training.items, minlength=items + 1).astype(np.float64)
    evaluator = Evaluator(work, Catalogue(popularity), options)
    chosen, tested = evaluator.layout.zeros(), evaluator.layout.zeros()
    evaluator.add(chosen, *validation)
    evaluator.add(tested, *test)
    finish = Finish(evaluator.layout, chosen, options.top_k)
    best = finish.best(tuple(work))
    assert best is not None
    ended = Finish(evaluator.layout, tested, options.top_k)
    return best, tuple(ended.metrics(name, best) for name in work)


def _rankers(
    known: Histories, items: int, seen_items: str, each: int, only: str | None = None
) -> Mapping[str, Ranker]:
    """Every ranker (or one) of what is known."""
    split = _All()
    counts = count_known(lambda: [known], split, items, lambda own, name: own)["test"]
    found: dict[str, Ranker] = {ALL_TIME: rankers(counts, RECENT_DAYS[0])[ALL_TIME]}
    for days in RECENT_DAYS:
        found[recent_name(days)] = rankers(counts, days)[recent_name(days)]
    if seen_items == "keep":
        found |= {
            name: ranker for name, ranker in rankers(counts, RECENT_DAYS[-1]).items()
            if name not in found
        }  # fmt: skip
    popularity = counts[ALL_TIME]
    if only in (None, items_together.NAME):
        pairs = items_together.count_pairs([known], items, _STEP, each)
        found[items_together.NAME] = items_together.Neighbours.fit(pairs, popularity, _STEP, each)
    if only in (None, session_neighbours.NAME):
        held = session_neighbours.collect([known])
        found[session_neighbours.NAME] = session_neighbours.SessionNeighbours.fit(
            held, popularity, each
        )
    return found


@dataclass(frozen=True)
class _All:
    """A split that holds nothing out: what is given is what is known."""

    def training(self, histories: Histories) -> Histories:
        return histories
