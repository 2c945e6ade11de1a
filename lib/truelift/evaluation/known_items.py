"""What the evaluation is told of the items before the ranks start: categories, ALS factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from truelift.evaluation import factors
from truelift.models.sequence.histories import COLUMNS

if TYPE_CHECKING:
    from truelift.job import Job


def known_items(job: Job, split: Any, items: int) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Arrays of the items for :class:`~truelift.evaluation.comparison.Comparison`.

    The factors are fitted here, on the driver's Spark, from the training part of the split.

    Parameters
    ----------
    job : Job
    split : object
    items : int

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        ``categories`` where items have any, ``item_factors`` where Spark could fit them.
    notes : tuple of str
        A sentence for each that is missing.
    """
    arrays, notes = {}, []
    categories = item_categories(job, items)
    if categories is None:
        notes.append("gold.items has no categories: diversity of the lists is not measured.")
    else:
        arrays["categories"] = categories
    job.progress.update("fitting Spark ALS, a baseline")
    try:
        plan = job.plan("gold.sequences", [*COLUMNS, "bucket"])
        fitted = factors.fit_factors(job.lake.spark, plan, split, items, job.settings.seed)
        arrays["item_factors"] = fitted.items
    except Exception as error:  # a baseline that fails must not cost the training
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
        notes.append(f"{factors.NAME} was left out: {type(error).__name__} {first}".strip())
    return arrays, tuple(notes)


def item_categories(job: Job, items: int) -> np.ndarray | None:
    """Category codes by item index, shape (items + 1,); None where no item has one."""
    found = job.read("gold.items").select("item_index", "category_index").toArrow()
    index = found.column("item_index").to_numpy(zero_copy_only=False)
    codes = found.column("category_index").fill_null(0).to_numpy(zero_copy_only=False)
    inside = (index >= 1) & (index <= items)
    result = np.zeros(items + 1, dtype=np.int32)
    result[index[inside].astype(np.int64)] = codes[inside]
    return result if result.any() else None
