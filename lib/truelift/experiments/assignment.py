"""Who gets which arm: by salted hashes, so that everybody can say it again.

A unit's place in the layer, the holdout, the traffic and the arms are hashes of its key with four
salts, and so independent of each other, of other experiments, and of where its row lies. With blocks
the units of a stratum are put in the order of their hash, and every run of ``block`` units has each arm
as often as promised, permuted by a hash of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import count_nameless, hash_keys, mix
from truelift.effects.telling.figures import p_text
from truelift.errors import ConfigError, DataError
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.sample_ratio import ratio_of_counts

ASSIGNED, HELD_OUT = "assigned", "holdout"
OTHER_SHARE, NO_TRAFFIC = "another share of the layer", "not in the traffic"
_BETWEEN = "|"
# A hash by this is a place from 0 to 1.
_WHOLE = 2.0**64
SCHEMA = pa.schema(
    [("unit_id", pa.string()), ("arm", pa.string()), ("reason", pa.string()), ("layer", pa.string()),
     ("stratum", pa.string())]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Assignment:
    """Units with their arms.

    Parameters
    ----------
    name : str
    table : pyarrow.Table
        ``unit_id``, ``arm`` (null for who takes no part), ``reason``, ``layer``, ``stratum``; one row a
        unit, in the order of ``unit_id``.
    arms : tuple of str
        The control first.
    shares : tuple of float
        Promised.
    kept : int
        Units that had been assigned before, and stay.
    """

    name: str
    table: pa.Table
    arms: tuple[str, ...]
    shares: tuple[float, ...]
    kept: int

    @property
    def sizes(self) -> dict[str, int]:
        """Units by arm."""
        return {arm: pc.sum(pc.equal(self.table["arm"], arm)).as_py() or 0 for arm in self.arms}

    def sentences(self) -> tuple[str, ...]:
        """How many are where, and why."""
        sizes = self.sizes
        placed = sum(sizes.values())
        listed = ", ".join(f"{count:,} {arm}" for arm, count in sizes.items())
        said = [f"{self.name}: {placed:,} of {self.table.num_rows:,} units take part: {listed}."]
        if placed:
            found = ratio_of_counts(np.array(list(sizes.values())), np.array(self.shares), 0.001)
            said.append(f"Promised shares: {p_text(found.p_value)} of these sizes.")
        counts = self.table["reason"].value_counts().to_pylist()
        others = {c["values"]: c["counts"] for c in counts if c["values"] != ASSIGNED}
        said += [f"{count:,} take no part: {why}." for why, count in sorted(others.items())]
        strata = pc.count_distinct(self.table["stratum"]).as_py()
        if strata > 1:
            said.append(f"Balanced within {strata:,} strata.")
        if self.kept:
            said.append(f"{self.kept:,} had been assigned before and stay where they are.")
        return tuple(said)

    def __repr__(self) -> str:
        return "\n".join(self.sentences())


def assign(rows: pa.Table, spec: ExperimentSpec, known: pa.Table | None = None) -> Assignment:
    """Assign the units of a table.

    Parameters
    ----------
    rows : pyarrow.Table
        With the columns of :func:`assignment_columns`; a unit may have several rows.
    spec : ExperimentSpec
    known : pyarrow.Table, optional
        What an earlier call gave: who takes part stays in the arm, whatever the specification says
        now. Who took no part is looked at again, so that traffic can grow.

    Raises
    ------
    DataError
        For a unit without a name, or one in two strata.
    """
    unit, stratum = _units(rows, spec)
    settled = pa.table({name: pa.array([], pa.string()) for name in SCHEMA.names}, SCHEMA)
    if known is not None:
        settled = known.select(SCHEMA.names).cast(SCHEMA).filter(pc.is_valid(known["arm"]))
    is_new = pc.invert(pc.is_in(unit, value_set=settled["unit_id"].combine_chunks()))
    unit, stratum = unit.filter(is_new), stratum.filter(is_new)
    reason, arm = _placed(unit, stratum, spec)
    labels = np.array([*spec.labels, None], dtype=object)
    made = pa.table(
        [unit, pa.array(labels[arm], pa.string()), pa.array(reason, pa.string()),
         pa.array([spec.assignment.layer] * len(unit), pa.string()), stratum],
        schema=SCHEMA,
    )  # fmt: skip
    whole = pa.concat_tables([settled, made]).sort_by("unit_id")
    return Assignment(spec.name, whole, spec.labels, spec.shares, settled.num_rows)


def assignment_columns(spec: ExperimentSpec) -> tuple[str, ...]:
    """Columns that an assignment reads."""
    return tuple(dict.fromkeys([*spec.units_of, *spec.assignment.strata]))


def place(unit: pa.Array, salt: str) -> np.ndarray:
    """Where units lie from 0 to 1, by a salt (n)."""
    return _salted(unit, salt) / _WHOLE


def in_both(one: pa.Table, other: pa.Table) -> int:
    """Units that take part in both of two experiments."""
    parts = [t["unit_id"].filter(pc.is_valid(t["arm"])).combine_chunks() for t in (one, other)]
    return int(pc.sum(pc.is_in(parts[0], value_set=parts[1])).as_py() or 0)


def _salted(unit: pa.Array, salt: str) -> np.ndarray:
    return mix(hash_keys(unit) ^ hash_keys(pa.array([salt]))[0])


def _units(rows: pa.Table, spec: ExperimentSpec) -> tuple[pa.Array, pa.Array]:
    """Names of the units, each once and in order, and their strata."""
    for name in spec.units_of:
        column = rows[name].combine_chunks()
        nameless, _ = count_nameless(column)
        if nameless:
            raise DataError(f"Column {name!r} (unit): {nameless:,} rows name no unit; remove them.")
    joined = [_joined(rows, columns) for columns in (spec.units_of, spec.assignment.strata)]
    table = pa.table(joined, ["unit", "stratum"])
    found = table.group_by(["unit", "stratum"]).aggregate([]).sort_by("unit")
    unit, stratum = (found[name].combine_chunks() for name in ("unit", "stratum"))
    if found.num_rows > 1:
        again = pc.equal(unit[1:], unit[:-1])
        if several := int(pc.sum(again).as_py() or 0):
            example = unit[1:].filter(again)[0].as_py()
            raise DataError(
                f"{several:,} units are in several strata ({', '.join(spec.assignment.strata)}), such as "
                f"{example!r}; expected one stratum a unit, as it was before the assignment."
            )
    return unit, stratum


def _joined(rows: pa.Table, columns: tuple[str, ...]) -> pa.Array:
    if not columns:
        return pa.array([""] * rows.num_rows, pa.string())
    texts = [_text(rows[name].combine_chunks()) for name in columns]
    if len(texts) == 1:
        return texts[0]
    return pc.binary_join_element_wise(*texts, _BETWEEN)


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.fill_null(column.cast(pa.string()), "")


def _placed(
    unit: pa.Array, stratum: pa.Array, spec: ExperimentSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Reason and code of the arm of each unit; the code is -1 for who takes no part."""
    options = spec.assignment
    salt = options.salt or spec.name
    reason = np.full(len(unit), ASSIGNED, dtype=object)
    out = np.zeros(len(unit), bool)

    def leave(mask: np.ndarray, why: str) -> None:
        reason[mask & ~out] = why
        out[mask] = True

    if options.holdout_share > 0:
        leave(place(unit, f"holdout {options.holdout}") < options.holdout_share, HELD_OUT)
    if options.layer:
        at = place(unit, f"layer {options.layer}")
        leave((at < options.layer_from) | (at >= options.layer_to), OTHER_SHARE)
    if options.traffic < 1:
        leave(place(unit, f"traffic {salt}") >= options.traffic, NO_TRAFFIC)
    arm = np.full(len(unit), -1)
    inside = np.flatnonzero(~out)
    kept = pa.array(inside)
    if block_of(spec):
        arm[inside] = _blocked(unit.take(kept), stratum.take(kept), spec, salt)
    else:
        ends = np.cumsum(spec.shares)[:-1]
        arm[inside] = np.searchsorted(ends, place(unit.take(kept), f"arm {salt}"), "right")
    return reason, arm


def block_of(spec: ExperimentSpec) -> int:
    """Units of a block: the smallest in which every arm has a whole number, if none is given.

    Raises
    ------
    ConfigError
        If the shares are not whole numbers of units of a block.
    """
    options = spec.assignment
    if not options.block and not options.strata:
        return 0
    for size in (options.block,) if options.block else range(len(spec.arms), 101):
        counts = np.array(spec.shares) * size
        if np.allclose(counts, np.rint(counts), atol=1e-4) and np.rint(counts).min() >= 1:
            return size
    raise ConfigError(
        f"assignment.block: found {options.block or 'none'} for the shares {spec.arms}, expected a size "
        "of which every arm gets a whole number of units, as 10 for .3 and .7."
    )


def _blocked(
    unit: pa.Array, stratum: pa.Array, spec: ExperimentSpec, salt: str
) -> np.ndarray:  # fmt: skip
    """Codes of arms in permuted blocks within strata (n)."""
    size = block_of(spec)
    hashes, strata = _salted(unit, f"arm {salt}"), hash_keys(stratum)
    # Equal hashes of two units are told apart by their names, which are in order.
    order = np.lexsort((np.arange(len(unit)), hashes, strata))
    ordered = strata[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))[: len(unit)]
    first = np.repeat(starts, np.diff(np.append(starts, len(unit))))
    rank = np.arange(len(unit)) - first
    block, within = rank // size, rank % size
    counts = np.rint(np.array(spec.shares) * size).astype(int)
    arms = np.repeat(np.arange(len(counts)), counts)
    with np.errstate(over="ignore"):
        seed = mix(ordered + mix(block.astype(np.uint64)) + hash_keys(pa.array([salt]))[0])
        draws = mix(
            seed[:, None] + np.arange(size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        )
    found = np.empty(len(unit), int)
    found[order] = arms[np.argsort(draws, axis=1, kind="stable")[np.arange(len(unit)), within]]
    return found


def check_layer(spec: ExperimentSpec, made: Assignment, others: Mapping[str, pa.Table]) -> None:
    """Refuse units that take part in another experiment of the layer, too.

    Raises
    ------
    DataError
    """
    for name, table in others.items():
        shared = in_both(made.table, table)
        if shared:
            raise DataError(
                f"{shared:,} units of {spec.name} take part in {name} too, and both are in the layer "
                f"{spec.assignment.layer!r}. Give them disjoint shares (assignment.layer_from, "
                "layer_to)."
            )
