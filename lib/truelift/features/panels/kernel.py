"""Units of one bucket: who is eligible on an occasion, their arm, outcomes and covariates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import codes_among, sorted_codes, whole
from truelift.features.panels.design import SpecDesign
from truelift.features.panels.levels import AttributeRows
from truelift.features.panels.occasions import Occasion, bound
from truelift.features.panels.reading import value_column
from truelift.features.panels.windows import SourceRows
from truelift.features.sequences import with_bucket
from truelift.settings.panel_spec import (
    EVER,
    PanelIndicatorOptions,
    PanelMeasureOptions,
    PanelShareOptions,
    PanelSpec,
)

#: Joins the parts of a subject's key; no readable text holds it.
JOINT = "\x1f"


@dataclass(frozen=True, eq=False)
class BucketUnits:
    """The subjects of one bucket and all that is known of them.

    Parameters
    ----------
    design : SpecDesign
    subjects : pa.Array
        Distinct subjects, ascending; the parts of a key are joined.
    rows : dict of str to SourceRows
        By source.
    owner : dict of str to np.ndarray, each of shape (subjects,)
        By source the key that a subject has there.
    attributes : dict of str to pa.Array
        By attribute, one value a subject.
    indicators : list of np.ndarray, each of shape (subjects,)
        Columns of 0 and 1, of all indicators in order.
    arms : np.ndarray of uint8, shape (occasions, subjects)
        Flags of the treatment, as bits.
    """

    design: SpecDesign
    subjects: pa.Array
    rows: dict[str, SourceRows]
    owner: dict[str, np.ndarray]
    attributes: dict[str, pa.Array]
    indicators: list[np.ndarray]
    arms: np.ndarray

    @classmethod
    def of(
        cls,
        design: SpecDesign,
        tables: dict[str, pa.Table],
        measures: Collection[str] | None = None,
    ) -> BucketUnits:
        """From the bucket's rows of every source (columns ``key``, ``time``, values).

        With ``measures``, only these are made, and nothing that is the same on every occasion.
        """
        spec = design.spec
        subjects = sorted_codes(tables[spec.population]["key"])[0]
        wanted = {n: m for n, m in spec.measures().items() if measures is None or n in measures}
        shares = spec.shares if measures is None else {}
        rows, owner = {}, {}
        timed = {m.source for m in wanted.values()} | {s.source for s in shares.values()}
        for name in sorted(timed):
            keys, owner[name] = sorted_codes(_keys_in(spec, name, subjects))
            rows[name] = SourceRows.of(_valued(design, tables[name], name, wanted, shares), keys)
        found = cls(design, subjects, rows, owner, {}, [], _arms(design, subjects, tables))
        if measures is None:
            found.attributes.update(_attributes(spec, subjects, tables))
            for prefix in spec.indicators:
                held = attribute_rows(spec, prefix, subjects, tables)
                found.indicators.extend(held.flags(design.levels.indicators.get(prefix, ())))
        return found

    def measure(self, name: str, occasion: Occasion) -> np.ndarray:
        """One number a subject; NaN where there is none."""
        options = self.design.spec.measures()[name]
        clock = self.design.clock
        numbers = self.rows[options.source].aggregate(
            options.aggregate,
            value_column(self.design.spec, name),
            self._window(options, occasion),
            occasion.start,
            clock.scale,
        )
        return numbers[self.owner[options.source]]

    def eligible(self, occasion: Occasion) -> np.ndarray:
        """Subjects that reach every least value, in ascending order."""
        fine = np.ones(len(self.subjects), dtype=bool)
        for name, least in self.design.spec.eligible.items():
            fine &= self.measure(name, occasion) >= least
        return np.flatnonzero(fine)

    def units(self, place: int) -> pa.Table | None:
        """The panel's rows of one occasion, by subject; None where there are none."""
        design, spec = self.design, self.design.spec
        occasion = design.occasions[place]
        chosen = self.eligible(occasion)
        if not len(chosen):
            return None
        parts = _parts(self.subjects.take(pa.array(chosen)), len(spec.subject))
        named = pa.array([occasion.name] * len(chosen), pa.string())
        elapsed = (occasion.start - design.data_start) / design.clock.scale
        labels = pa.array(spec.treatment.labels(), pa.string())
        arm = labels.take(pa.array(self.arms[place][chosen]))
        columns = {
            "unit_id": pc.binary_join_element_wise(named, *parts, ":"),
            **dict(zip(spec.subject, parts, strict=True)),
            spec.treatment.occasion_column: named,
            "elapsed": np.full(len(chosen), elapsed),
            spec.treatment.column: arm.cast(pa.int32()) if design.numeric_arms() else arm,
            **{m: _nullable(self.measure(m, occasion)[chosen]) for m in spec.measures()},
            **{a: values.take(pa.array(chosen)) for a, values in self.attributes.items()},
        }
        named = zip(design.columns_of_levels(), self._of_levels(place, chosen), strict=True)
        return pa.table({**columns, **dict(named)})

    def _of_levels(self, place: int, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """The columns that the data name, of some subjects, in their order."""
        spec, occasion = self.design.spec, self.design.occasions[place]
        for name, share in spec.shares.items():
            count = len(self.design.levels.shares.get(name, ()))
            found = self.rows[share.source].shares(
                f"share_{name}", count, self._window(share, occasion)
            )
            yield from (numbers[self.owner[share.source]][chosen] for numbers in found)
        yield from (flags[chosen] for flags in self.indicators)
        if spec.occasions.indicators is not None:
            for other in range(1, len(self.design.occasions)):
                yield np.full(len(chosen), float(other == place))

    def _window(
        self, options: PanelMeasureOptions | PanelShareOptions, occasion: Occasion
    ) -> tuple[int | None, int]:
        first, last = options.window
        low = None if first == EVER else bound(self.design.clock, occasion, first)
        return low, bound(self.design.clock, occasion, last)


@dataclass(frozen=True)
class SpecPanelKernel:
    """The panel's rows of a bucket, by occasion and subject."""

    design: SpecDesign

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        schema = self.design.schema()
        bare = schema.remove(schema.get_field_index("bucket"))
        units = BucketUnits.of(self.design, self.design.rows(tables))
        found = [t.cast(bare) for t in self._occasions(units)]
        return with_bucket(pa.concat_tables(found) if found else bare.empty_table(), bucket)

    def _occasions(self, units: BucketUnits) -> Iterator[pa.Table]:
        for place in range(len(self.design.occasions)):
            table = units.units(place)
            if table is not None:
                yield table


def attribute_rows(
    spec: PanelSpec, prefix: str, subjects: pa.Array, tables: Mapping[str, pa.Table]
) -> AttributeRows:
    """Who has which level of the attributes of an indicator."""
    indicator: PanelIndicatorOptions = spec.indicators[prefix]
    table = tables[indicator.source]
    keys, owner = sorted_codes(_keys_in(spec, indicator.source, subjects))
    # Several subjects may share a key; of a key there are as many rows as subjects have it.
    row = codes_among(table["key"], keys)
    order = np.argsort(row, kind="stable")
    low, high = (np.searchsorted(row[order], owner, side=side) for side in ("left", "right"))
    subject = np.repeat(np.arange(len(subjects)), high - low)
    begins = np.cumsum(high - low) - (high - low)
    place = pa.array(order[np.repeat(low - begins, high - low) + np.arange(len(subject))])
    name = whole(table[f"name_{prefix}"]).take(place) if indicator.name is not None else None
    value = whole(table[f"level_{prefix}"]).take(place)
    return AttributeRows.of(subject, name, value, len(subjects))


def _attributes(
    spec: PanelSpec, subjects: pa.Array, tables: Mapping[str, pa.Table]
) -> Iterator[tuple[str, pa.Array]]:
    for name, attribute in spec.attributes.items():
        table = tables[attribute.source]
        named = _keys_in(spec, attribute.source, subjects)
        place = pc.index_in(named, value_set=whole(table["key"]))
        yield name, whole(table[f"value_{name}"]).take(place)


def _keys_in(spec: PanelSpec, source: str, subjects: pa.Array) -> pa.Array:
    """The key that each subject has in a source."""
    return _keys(subjects, tuple(spec.subject.index(k) for k in spec.keys_of(source)))


def _valued(
    design: SpecDesign,
    table: pa.Table,
    source: str,
    measures: Mapping[str, PanelMeasureOptions],
    shares: Mapping[str, PanelShareOptions],
) -> pa.Table:
    """Key, time and the values that are aggregated; of shares the code of each row's level."""
    spec = design.spec
    wanted = {value_column(spec, name) for name, m in measures.items() if m.source == source}
    found = table.select(["key", "time", *sorted(w for w in wanted if w)])
    for name, share in shares.items():
        if share.source == source:
            levels = pa.array(design.levels.shares.get(name, ()), pa.string())
            level = design.level_of(name, whole(table[f"share_{name}"]))
            found = found.append_column(f"share_{name}", pa.array(codes_among(level, levels)))
    return found


def _arms(design: SpecDesign, subjects: pa.Array, tables: Mapping[str, pa.Table]) -> np.ndarray:
    rows = tables[design.spec.treatment.source]
    names = pa.array([o.name for o in design.occasions], pa.string())
    subject, occasion = codes_among(rows["key"], subjects), codes_among(rows["occasion"], names)
    known = (subject >= 0) & (occasion >= 0)
    flags = whole(rows["flags"]).to_numpy(zero_copy_only=False).astype(np.uint8)
    arms = np.zeros((len(names), len(subjects)), dtype=np.uint8)
    np.bitwise_or.at(arms, (occasion[known], subject[known]), flags[known])
    return arms


def _parts(subjects: pa.Array, count: int) -> list[pa.Array]:
    """The columns that a subject's key is made of."""
    if count == 1:
        return [subjects]
    split = pc.split_pattern(subjects, JOINT)
    return [pc.list_element(split, place) for place in range(count)]


def _keys(subjects: pa.Array, places: tuple[int, ...]) -> pa.Array:
    """Some of the columns of the subjects, joined again."""
    count = max(places) + 1
    if count == 1 and not pc.any(pc.match_substring(subjects, JOINT)).as_py():
        return subjects
    split = pc.split_pattern(subjects, JOINT)
    columns = [pc.list_element(split, place) for place in places]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, JOINT)


def _nullable(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers, from_pandas=True)
