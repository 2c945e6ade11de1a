"""From raw item rows to item keys: what counts as one item, and its vocabulary index.

The *item level* is either ``item_id`` or a column of the item stream (``product_type``).
At a coarser level an event whose item has no row in the item stream, or no value in the
level's column, has **no item key**: it stays out of ``gold.items`` and ``gold.sequences``
(a model should not recommend "unknown"), and still counts in profiles and the panel.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import codes_among, sorted_codes, whole
from truelift.errors import ConfigError
from truelift.features.streams import own_columns, stored_name

if TYPE_CHECKING:
    from truelift.lake import ScanPlan

ITEM_ID = "item_id"
_ORDER = ("source_file", "source_row")
_ORDER_OF_DELIVERIES = ("source_file", "file_time", "source_row")
_WHOLE = r"^(-?[0-9]+)\.0+$"


@dataclass(frozen=True)
class ItemColumns:
    """Which columns of the item stream hold what (None: the stream does not have it).

    Rows come in ``order``; of a file that was delivered twice the later one is last. Texts in
    ``missing`` stand for nothing, and with ``integer_ids`` the id ``123.0`` is ``123``.
    """

    item_id: str
    level: str | None
    name: str | None
    category: str | None
    order: tuple[str, ...] = _ORDER
    missing: tuple[str, ...] = ()
    integer_ids: bool = False

    @classmethod
    def resolve(
        cls, available: tuple[str, ...], mapped: dict[str, str], level: str, category: str
    ) -> ItemColumns:
        """Find the columns among those available.

        Parameters
        ----------
        available : tuple of str
            Columns of ``bronze.items``.
        mapped : dict of str to str
            ``source.items.columns``: target name to source column.
        level, category : str
            ``features.item_level`` and ``features.category_column``: a mapped target or a
            column's own name.

        Raises
        ------
        ConfigError
            When the item id or the level is not there.
        """

        def find(name: str) -> str | None:
            return stored_name(mapped.get(name, name), available)

        shown = ", ".join(own_columns(available))
        item_id = find(ITEM_ID)
        if item_id is None:
            raise ConfigError(
                f"source.items.columns: no column for {ITEM_ID!r} in bronze.items "
                f"(found {shown}). Add 'item_id: YOUR_COLUMN'."
            )
        if level != ITEM_ID and find(level) is None:
            raise ConfigError(
                f"features.item_level: found {level!r}, expected 'item_id' or a column of "
                f"bronze.items ({shown})."
            )
        at_level = find(level) if level != ITEM_ID else None
        order = tuple(name for name in _ORDER_OF_DELIVERIES if name in available) or _ORDER
        return cls(item_id, at_level, find("name"), find(category), order)

    def used(self) -> tuple[str, ...]:
        """The columns to read, provenance included (the latest row of an item wins)."""
        names = (self.item_id, self.level, self.name, self.category, *self.order)
        return tuple(dict.fromkeys(n for n in names if n is not None))


def catalogue_of(rows: pa.Table, columns: ItemColumns) -> pa.Table:
    """One row an item: ``item_id, item_key, name, category``, ascending by id.

    Of several rows with one id the last by (file, row) wins; blank text is missing.
    """
    ordered = rows.sort_by([(name, "ascending") for name in columns.order])
    ids = _ids(ordered, columns)
    place = pa.array(np.arange(len(ids)))
    last = (
        pa.table({"id": ids, "place": place})
        .filter(pc.is_valid(ids))
        .group_by("id")
        .aggregate([("place", "max")])
        .sort_by("id")
    )
    kept = ordered.take(last["place_max"])
    item_id = _ids(kept, columns)
    return pa.table(
        {
            "item_id": item_id,
            "item_key": _text(kept, columns.level, columns.missing) if columns.level else item_id,
            "name": _text(kept, columns.name, columns.missing),
            "category": _text(kept, columns.category, columns.missing),
        }
    )


def _ids(rows: pa.Table, columns: ItemColumns) -> pa.ChunkedArray | pa.Array:
    ids = _text(rows, columns.item_id, columns.missing)
    return pc.replace_substring_regex(ids, _WHOLE, r"\1") if columns.integer_ids else ids


def _text(
    table: pa.Table, column: str | None, missing: tuple[str, ...] = ()
) -> pa.ChunkedArray | pa.Array:
    if column is None:
        return pa.nulls(table.num_rows, pa.string())
    trimmed = pc.utf8_trim_whitespace(table[column].cast(pa.string()))
    nothing = pa.array(["", *missing], pa.string())
    return pc.if_else(pc.is_in(trimmed, value_set=nothing), pa.scalar(None, pa.string()), trimmed)


def keys_of_items(ids: pa.Array, catalogue: pa.Table | None) -> pa.Array:
    """Item key of each id; the id itself where there is no coarser level (catalogue None)."""
    if catalogue is None:
        return ids
    return _looked_up(ids, catalogue, "item_key")


def categories_of_items(ids: pa.Array, catalogue: pa.Table | None) -> pa.Array:
    """Category of each id; null where it is unknown."""
    if catalogue is None:
        return pa.nulls(len(ids), pa.string())
    return _looked_up(ids, catalogue, "category")


def index_of_keys(keys: pa.Array, vocabulary: pa.Table) -> np.ndarray:
    """Vocabulary index (1..) of each item key, 0 outside the vocabulary."""
    place = codes_among(keys, whole(vocabulary["item_key"]))
    index = np.append(vocabulary["item_index"].to_numpy(), 0)
    return index[place]


def describe_keys(catalogue: pa.Table, is_item_level: bool) -> pa.Table:
    """One row an item key: ``item_key, name, category``.

    The name is the item's own at item level and the key itself at a coarser one; the category
    is the most common among the key's items (of equally common ones the first by name).
    """
    keys, code = sorted_codes(catalogue["item_key"])
    names = _most_common(code, catalogue["name"], len(keys)) if is_item_level else keys
    category = _most_common(code, catalogue["category"], len(keys))
    return pa.table({"item_key": keys, "name": names, "category": category})


def _most_common(code: np.ndarray, column: pa.ChunkedArray, keys: int) -> pa.Array:
    values, value = sorted_codes(column)
    known = (code >= 0) & (value >= 0)
    size = max(len(values), 1)
    pairs, counts = np.unique(code[known] * size + value[known], return_counts=True)
    order = np.lexsort((pairs % size, -counts, pairs // size))
    key, first = np.unique(pairs[order] // size, return_index=True)
    chosen = np.full(keys, -1)
    chosen[key] = pairs[order][first] % size
    return values.take(pa.array(chosen, mask=chosen < 0))


def _looked_up(ids: pa.Array, catalogue: pa.Table, column: str) -> pa.Array:
    place = pc.index_in(ids, value_set=whole(catalogue["item_id"]))
    return whole(catalogue[column]).take(place)


@dataclass(frozen=True)
class LookupSource:
    """A lookup table that each worker process loads once.

    Either a scan plan (workers read the files themselves; nothing passes the driver) or, where
    files cannot be read directly, the rows themselves as Arrow bytes shipped with the kernel.

    Parameters
    ----------
    plan : ScanPlan, optional
        Pinned plan of the table that holds the rows.
    rows : bytes, optional
        The rows as an Arrow stream, in place of a plan.
    columns : ItemColumns, optional
        Given for raw item rows: the loaded table is then ``catalogue_of`` them.
    """

    plan: ScanPlan | None = None
    rows: bytes | None = None
    columns: ItemColumns | None = None

    @classmethod
    def of_table(cls, table: pa.Table, columns: ItemColumns | None = None) -> LookupSource:
        """From rows in memory."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return cls(rows=sink.getvalue().to_pybytes(), columns=columns)

    def load(self) -> pa.Table:
        """The lookup table; read at most once in a process."""
        if self.plan is not None:
            return _load_plan(self.plan.to_json(), self.columns)
        return _load_rows(self.rows or b"", self.columns)


@functools.lru_cache(maxsize=4)
def _load_plan(plan_json: str, columns: ItemColumns | None) -> pa.Table:
    from truelift.lake.scan import ScanPlan, read_unit

    plan = ScanPlan.from_json(plan_json)
    wanted = list(plan.columns)
    parts = [read_unit(plan, unit, wanted) for unit in plan.units]
    table = pa.concat_tables(parts) if parts else plan.schema.empty_table()
    return catalogue_of(table, columns) if columns else table


@functools.lru_cache(maxsize=4)
def _load_rows(rows: bytes, columns: ItemColumns | None) -> pa.Table:
    table = pa.ipc.open_stream(rows).read_all()
    return catalogue_of(table, columns) if columns else table
