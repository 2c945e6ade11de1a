"""Units of one bucket: who is eligible on an occasion, their arm, outcomes and covariates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import codes_among, sorted_codes, whole
from truelift.features.panels.occasions import Clock, Occasion, bound
from truelift.features.panels.windows import SourceRows
from truelift.features.sequences import with_bucket
from truelift.settings.panel_spec import EVER, PanelMeasureOptions, PanelSpec

#: Joins the parts of a subject's key; no readable text holds it.
JOINT = "\x1f"
COUNT_SCHEMA = pa.schema([("occasion", pa.string()), ("arm", pa.int32()), ("units", pa.int64())])


@dataclass(frozen=True)
class SpecDesign:
    """What all units share.

    Parameters
    ----------
    spec : PanelSpec
    occasions : tuple of Occasion
    data_start : int
        First tick that the data cover.
    texts : tuple of str
        Attributes that are texts; the others are numbers.
    """

    spec: PanelSpec
    occasions: tuple[Occasion, ...]
    data_start: int
    texts: tuple[str, ...] = ()

    @property
    def clock(self) -> Clock:
        """How times are counted."""
        return Clock(self.spec.clock, self.spec.time_zone)

    def numeric_arms(self) -> bool:
        """Whether all arms are named by numbers, as 0 and 1."""
        return all(label.isdecimal() for label in self.spec.treatment.labels())

    def schema(self) -> pa.Schema:
        """Arrow schema of the panel, without what is derived."""
        spec = self.spec
        types: dict[str, pa.DataType] = {"unit_id": pa.string()}
        types |= dict.fromkeys((*spec.subject, spec.treatment.occasion_column), pa.string())
        types["elapsed"] = pa.float64()
        types[spec.treatment.column] = pa.int32() if self.numeric_arms() else pa.string()
        types |= dict.fromkeys(spec.measures(), pa.float64())
        for name in spec.attributes:
            types[name] = pa.string() if name in self.texts else pa.float64()
        return pa.schema([*types.items(), ("bucket", pa.int32())])


def value_column(spec: PanelSpec, name: str) -> str | None:
    """Where a measure's or an attribute's values lie among the columns of its source."""
    if name in spec.attributes:
        return f"value_{name}"
    measure = spec.measures()[name]
    if measure.value is None:
        return None
    kind = "text" if measure.aggregate == "count_distinct" else "number"
    same = [
        n
        for n, m in spec.measures().items()
        if (m.source, m.value) == (measure.source, measure.value)
        and (m.aggregate == "count_distinct") == (kind == "text")
    ]
    return f"value_{same[0]}"


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
    arms : np.ndarray of uint8, shape (occasions, subjects)
        Flags of the treatment, as bits.
    """

    design: SpecDesign
    subjects: pa.Array
    rows: dict[str, SourceRows]
    owner: dict[str, np.ndarray]
    attributes: dict[str, pa.Array]
    arms: np.ndarray

    @classmethod
    def of(cls, design: SpecDesign, tables: dict[str, pa.Table]) -> BucketUnits:
        """From the bucket's rows of every source (columns ``key``, ``time``, values)."""
        spec = design.spec
        subjects = sorted_codes(tables[spec.population]["key"])[0]
        timed = {m.source for m in spec.measures().values()}
        rows, owner, attributes = {}, {}, {}
        for name in sorted(timed | {a.source for a in spec.attributes.values()}):
            named = _keys(subjects, tuple(spec.subject.index(k) for k in spec.keys_of(name)))
            keys, owner[name] = sorted_codes(named)
            if name in timed:
                wanted = {value_column(spec, m) for m, o in spec.measures().items()
                          if o.source == name} - {None}  # fmt: skip
                rows[name] = SourceRows.of(
                    tables[name].select(["key", "time", *sorted(w for w in wanted if w)]), keys
                )
        for name, attribute in spec.attributes.items():
            table = tables[attribute.source]
            named = _keys(
                subjects, tuple(spec.subject.index(k) for k in spec.keys_of(attribute.source))
            )
            place = pc.index_in(named, value_set=whole(table["key"]))
            attributes[name] = whole(table[f"value_{name}"]).take(place)
        arms = _arms(design, subjects, tables[spec.treatment.source])
        return cls(design, subjects, rows, owner, attributes, arms)

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
        return pa.table(columns)

    def _window(self, options: PanelMeasureOptions, occasion: Occasion) -> tuple[int | None, int]:
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
        found = [t.cast(bare) for t in self._occasions(BucketUnits.of(self.design, tables))]
        return with_bucket(pa.concat_tables(found) if found else bare.empty_table(), bucket)

    def _occasions(self, units: BucketUnits) -> Iterator[pa.Table]:
        for place in range(len(self.design.occasions)):
            table = units.units(place)
            if table is not None:
                yield table


@dataclass(frozen=True)
class ArmCountKernel:
    """Eligible units of a bucket by occasion and arm (as bits)."""

    design: SpecDesign

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        units = BucketUnits.of(self.design, tables)
        rows = []
        for place, occasion in enumerate(self.design.occasions):
            counts = np.bincount(units.arms[place][units.eligible(occasion)])
            rows += [(occasion.name, arm, n) for arm, n in enumerate(counts.tolist()) if n]
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        return pa.table([list(c) for c in columns], schema=COUNT_SCHEMA)


def _arms(design: SpecDesign, subjects: pa.Array, rows: pa.Table) -> np.ndarray:
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
