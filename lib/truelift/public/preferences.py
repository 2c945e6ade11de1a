"""What users like, from rows that they chose to label, judged on rows that were drawn by lot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import ConfigError, DataError
from truelift.evaluation.unbiased import CONFIDENCE, MEASURES, Judged, judge
from truelift.extras import naming_extras
from truelift.inference.bands import simultaneous_quantile
from truelift.models.factors.corrected import (
    CORRECTIONS,
    CorrectionOptions,
    FactorModel,
    LabelledRows,
    exposure_chances,
    fit_corrected,
)
from truelift.models.factors.seen import axes_of
from truelift.public.side_features import side_features
from truelift.public.tables import named_columns, number_values, opened, text_codes
from truelift.public.user_lists import first_items

if TYPE_CHECKING:
    import pandas as pd

PLAIN = "none"
#: What the evaluation says, and what the logs say of it.
BY_LOT, BY_CHANCES = "evaluation", "logs"


@dataclass(frozen=True, eq=False)
class Preferences:
    """Models with and without a correction, and the one that makes recommendations.

    Parameters
    ----------
    champion : str
        The correction whose model is used; ``none`` unless another is better beyond its interval.
    reason : str
        What the gate found.
    logs : mapping of str to mapping of str to Judged
        By correction and measure, on rows of the logs that were left out, weighted by ``1 / chance``.
    evaluation : mapping of str to mapping of str to Judged
        The same on the evaluation table; empty without one.
    left_out : int
        Rows without user, item or label.
    known : int
        Rows of the evaluation of a user and item that the labels have too; each is judged by the model of folds
        without it.
    """

    champion: str
    reason: str
    logs: Mapping[str, Mapping[str, Judged]]
    evaluation: Mapping[str, Mapping[str, Judged]]
    left_out: int
    known: int
    _model: FactorModel = field(repr=False)
    _rows: LabelledRows = field(repr=False)
    _users: list[str] = field(repr=False)
    _items: list[str] = field(repr=False)

    def recommend(self, users: Iterable[Any] | None = None, count: int = 10) -> pa.Table:
        """The items that each user likes most, of those not labelled: ``user_key, rank, item_id, chance``."""
        every, offered = np.arange(len(self._items)), np.unique(self._rows.items)

        def ranked(user: int) -> tuple[np.ndarray, np.ndarray]:
            known = self._rows.items[self._rows.users == user]
            chances = self._model.chances(np.full(len(every), user), every)
            return np.setdiff1d(offered, known), chances

        items = pa.array(self._items, pa.string())
        return first_items(self._users, items, users, count, "chance", ranked)

    def to_pandas(self) -> pd.DataFrame:
        """A row a correction, measure and source, with its interval over users."""
        import pandas as pd

        rows = [
            (
                source,
                name,
                m,
                figures[m].value,
                figures[m].lower,
                figures[m].upper,
                figures[m].users,
            )
            for source, by_name in ((BY_LOT, self.evaluation), (BY_CHANCES, self.logs))
            for name, figures in by_name.items()
            for m in MEASURES
        ]
        names = ["source", "correction", "measure", "value", "ci_lower", "ci_upper", "users"]
        return pd.DataFrame(rows, columns=names)

    def summary(self) -> str:
        """What the gate decided, and a line a correction."""
        told = [self.reason]
        for name in self.logs:
            line = f"{name}:"
            for source, by_name in (("by lot", self.evaluation), ("logs by chances", self.logs)):
                if name in by_name:
                    own = by_name[name]
                    line += f" {source}: " + ", ".join(
                        f"{m} {own[m].value:.4f} ({own[m].lower:.4f} to {own[m].upper:.4f})"
                        for m in ("auc", "ndcg", "recall_at_k")
                    )
            told.append(line)
        if self.left_out:
            told.append(f"Left out: {self.left_out:,} rows.")
        if self.known:
            told.append(
                f"{self.known:,} rows of the evaluation are of a user and item that the labels have too: judged by "
                "models that were fitted without them."
            )
        return "\n".join(told)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"Preferences({self.summary()})"


def fit_preferences(
    labels: Any,
    *,
    user: str = "user_key",
    item: str = "item_id",
    label: str = "label",
    positive: float = 1.0,
    chance: str | None = None,
    exposure: str = "factors",
    user_features: Any = None,
    item_features: Any = None,
    evaluation: Any = None,
    corrections: Iterable[str] = CORRECTIONS,
    gate: str = BY_CHANCES,
    top_k: int = 5,
    folds: int = 5,
    options: CorrectionOptions | None = None,
) -> Preferences:
    """Factors of users' labels with several corrections, and the gate among them.

    Rows are left out in folds, ranked by models of the others, and judged with weights ``1 / chance``. A
    corrected model makes the recommendations where its AUC is better than the plain one's beyond the
    95% interval of the difference, clustered by user and widened for as many corrections as were tried, on
    these rows or (``gate='evaluation'``) on the evaluation table; which then is no judge of the winner any
    more.

    Parameters
    ----------
    labels : DataFrame, Arrow table, str or path
        A row a user and item, as the log has them: people chose what they label.
    user, item, label : str
        Columns. Labels are numbers; those of at least ``positive`` are positive. Others count by
        how far they are from the least to the largest.
    positive : float
    chance : str, optional
        Column of the logged chance of being seen. Without, it is estimated from what was seen.
    exposure : str
        ``'popularity'`` or ``'factors'`` (by who sees things alike too): how chances are estimated; labels
        are not looked at.
    user_features, item_features : DataFrame, Arrow table, str or path, optional
        A row a user (column ``user``) or item (column ``item``); all other columns are features, numbers,
        texts or truth values.
    evaluation : DataFrame, Arrow table, str or path, optional
        Rows that were drawn by lot, with the same columns ``user``, ``item``, ``label``; those of a user and
        item that the labels have too are judged by models that were fitted without them.
    corrections : str or iterable of str
        Of ``none, seen, ips, snips, dr, mrdr, missing`` (:mod:`truelift.models.factors.corrected`).
    gate : str
        ``'logs'`` or ``'evaluation'``.
    top_k : int
        Places of NDCG.
    folds : int
    options : CorrectionOptions, optional

    Returns
    -------
    Preferences

    Raises
    ------
    TrueliftError
        For a table, column or option that cannot be used.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.fit_preferences("ratings.csv", positive=4, evaluation="by_lot.csv")  # doctest: +SKIP
    """
    chosen = options or CorrectionOptions()
    named = [corrections] if isinstance(corrections, str) else list(corrections)
    tried = list(dict.fromkeys([PLAIN, *named]))
    settings = {name: replace(chosen, correction=name) for name in tried}
    if gate not in (BY_CHANCES, BY_LOT) or (gate == BY_LOT and evaluation is None):
        raise ConfigError(
            f"gate: found {gate!r}, expected 'logs', or 'evaluation' with an evaluation table."
        )
    axes_of(exposure, 1)
    for name, number, least in (("top_k", top_k, 1), ("folds", folds, 2)):
        if number < least:
            raise ConfigError(f"{name}: found {number}, expected at least {least}.")
    names = {"user": user, "item": item, "label": label}
    with naming_extras():
        table, left = _read(labels, {**names, **({"chance": chance} if chance else {})})
        value = table["label"].to_numpy()
        drawn, more = (None, 0) if evaluation is None else _read(evaluation, names)
        held = [table] if drawn is None else [table, drawn]
        # People and items of the evaluation alone have means for scores, and no place in lists.
        users, items = (
            pc.unique(pa.chunked_array([c for t in held for c in t[n].chunks], pa.string()))
            for n in ("user", "item")
        )
        cells = [
            tuple(
                pc.index_in(t[n], k).to_numpy().astype(np.int64)
                for n, k in (("user", users), ("item", items))
            )
            for t in held
        ]
        rows = LabelledRows(
            cells[0][0], cells[0][1], _graded(value, positive), (len(users), len(items))
        )
        sides = tuple(
            np.zeros((len(keys), 0)) if given is None else side_features(given, key, name, keys)
            for given, key, name, keys in (
                (user_features, user, "user_features", users), (item_features, item, "item_features", items)
            )
        )  # fmt: skip
        features = (sides[0], sides[1])
        logged = _checked(table["chance"].to_numpy()) if chance else None
        chances = exposure_chances(rows, exposure, chosen) if logged is None else logged
        good = value >= positive
        kept = {n: np.zeros(len(rows)) for n in tried}
        weights = np.zeros(len(rows))
        part = np.random.default_rng(chosen.seed).permutation(len(rows)) % folds
        for fold in range(folds):
            mine, others = np.flatnonzero(part == fold), np.flatnonzero(part != fold)
            some, out = rows.take(others), rows.take(mine)
            # Rows left out had no part in what their chances are estimated from.
            own = exposure_chances(some, exposure, chosen, out) if logged is None else logged[mine]
            weights[mine] = 1 / np.maximum(own, chosen.cap)
            of_others = (
                exposure_chances(some, exposure, chosen) if logged is None else logged[others]
            )
            for name, setting in settings.items():
                model = fit_corrected(some, setting, of_others, features)
                kept[name][mine] = model.chances(out.users, out.items)
        logs = {n: judge(rows.users, good, kept[n], weights, top_k) for n in tried}
        models = {n: fit_corrected(rows, own, chances, features) for n, own in settings.items()}
        by_lot: dict[str, Mapping[str, Judged]] = {}
        known = 0
        if drawn is not None:
            mark = drawn["label"].to_numpy() >= positive
            own_row = _rows_of(cells[1], cells[0], len(items))
            labelled = own_row >= 0
            known = int(labelled.sum())
            for n, m in models.items():
                score = m.chances(cells[1][0], cells[1][1])
                # What a model was fitted on is no test of it: such a cell is ranked by one of the other folds.
                score[labelled] = kept[n][own_row[labelled]]
                by_lot[n] = judge(cells[1][0], mark, score, None, top_k)
    champion, reason = _gate(by_lot if gate == BY_LOT else logs, gate)
    return Preferences(
        champion, reason, logs, by_lot, left + more, known, models[champion], rows,
        users.to_pylist(), items.to_pylist(),
    )  # fmt: skip


def _gate(found: Mapping[str, Mapping[str, Judged]], where: str) -> tuple[str, str]:
    others = [n for n in found if n != PLAIN]
    if not others:
        return PLAIN, "No correction was tried."
    gains = {n: found[n]["auc"].less(found[PLAIN]["auc"]) for n in others}
    best = max(others, key=lambda n: gains[n].value)
    # The best of several is chosen: the interval holds for all of them at once.
    moved = np.stack([gains[n].influence for n in others])
    users = gains[best].users
    if users > 1 and moved.any():
        wide = simultaneous_quantile(moved @ moved.T, users - 1.0, CONFIDENCE).value
        half = wide * float(np.sqrt(users / (users - 1) * np.square(gains[best].influence).sum()))
    else:
        half = float("inf") if users <= 1 else 0.0
    value = gains[best].value
    said = f"AUC {value:+.4f} ({value - half:+.4f} to {value + half:+.4f}) on the {where}"
    if len(others) > 1:
        said += f", in an interval for all {len(others)} at once"
    if value - half > 0:
        return best, f"{best!r} makes the recommendations: {said}, against no correction."
    return PLAIN, f"No correction makes the recommendations: the best, {best!r}, has {said}."


def _rows_of(cells: tuple[np.ndarray, ...], rows: tuple[np.ndarray, ...], items: int) -> np.ndarray:
    """The row of each cell of users x items, -1 where there is none (n)."""
    wanted, there = cells[0] * items + cells[1], rows[0] * items + rows[1]
    order = np.argsort(there)
    place = order[np.minimum(np.searchsorted(there[order], wanted), len(order) - 1)]
    return np.where(there[place] == wanted, place, -1)


def _graded(value: np.ndarray, positive: float) -> np.ndarray:
    """Labels within 0 and 1: the half above 1/2 for positive ones, with their grades."""
    low, high = float(value.min()), float(value.max())
    good = value >= positive
    if good.all() or not good.any():
        raise DataError(
            f"label: found {low:g} to {high:g}, of which {'all' if good.all() else 'none'} are at "
            f"least {positive:g}; expected both kinds. Is positive what was meant?"
        )
    if len(np.unique(value)) == 2:
        return good.astype(float)
    grade = (value - low) / (high - low)
    return np.asarray(0.5 * grade + 0.5 * good)


def _checked(chance: np.ndarray) -> np.ndarray:
    if np.isnan(chance).any() or chance.min() <= 0 or chance.max() > 1:
        raise DataError(
            f"chance: found {np.nanmin(chance):g} to {np.nanmax(chance):g}, expected chances above 0 "
            "and at most 1."
        )
    return np.asarray(chance, float)


def _read(given: Any, names: Mapping[str, str]) -> tuple[pa.Table, int]:
    """Whole rows of a table, and how many were not."""
    table = opened(given)
    rows = named_columns(
        table, {n: (column, n) for n, column in names.items()}, frozenset({"user", "item"})
    )
    whole = {
        n: text_codes(rows[n], table.name, names[n]).cast(pa.string()) for n in ("user", "item")
    }
    for name in names.keys() - {"user", "item"}:
        number = number_values(rows[name], table.name, names[name])
        whole[name] = pa.array(number, mask=~np.isfinite(number))
    ready = pa.table(whole)
    there = ready.drop_null()
    if not there.num_rows:
        raise DataError(f"{table.name}: found no row with user, item and label, expected some.")
    return there, ready.num_rows - there.num_rows
