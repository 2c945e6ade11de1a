"""What has to be known of all buckets before a panel is made: arms, levels, subjects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import whole
from truelift.features.panels.design import SpecDesign
from truelift.features.panels.kernel import BucketUnits, attribute_rows
from truelift.features.panels.levels import ChosenLevels, attribute_levels, most_frequent

#: What is counted before a panel is made: ``kind`` of count, of what, which, and how often.
COUNT_SCHEMA = pa.schema(
    [("kind", pa.string()), ("of", pa.string()), ("name", pa.string()), ("level", pa.string()),
     ("count", pa.int64())]
)  # fmt: skip


@dataclass(frozen=True)
class PanelCountKernel:
    """What has to be known of all buckets before the panel is made; counts of buckets add up.

    ``arm``: eligible units by occasion and arm (its bits). ``level``: rows before the first occasion by
    share and level. ``indicator``: subjects by attribute and level, without one: by attribute.
    ``subjects``: how many there are.
    """

    design: SpecDesign

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        rows = self._counts(self.design.rows(tables))
        columns = list(zip(*rows, strict=True)) or [()] * len(COUNT_SCHEMA)
        return pa.table([list(c) for c in columns], schema=COUNT_SCHEMA)

    def _counts(
        self, tables: dict[str, pa.Table]
    ) -> Iterator[tuple[str, str, str, str | None, int]]:
        design, spec = self.design, self.design.spec
        units = BucketUnits.of(design, tables, tuple(spec.eligible))
        for place, occasion in enumerate(design.occasions):
            counts = np.bincount(units.arms[place][units.eligible(occasion)])
            for arm, count in enumerate(counts.tolist()):
                if count:
                    yield "arm", occasion.name, str(arm), None, count
        first = min(design.occasions).start
        for name, share in spec.shares.items():
            table = tables[share.source]
            early = pc.fill_null(pc.less(table["time"], first), False)
            values = whole(table.filter(early)[f"share_{name}"])
            for found in design.level_of(name, values).value_counts().to_pylist():
                if found["values"] is not None:
                    yield "level", name, "", found["values"], found["counts"]
        for prefix in spec.indicators:
            held = attribute_rows(spec, prefix, units.subjects, tables)
            yield from (("indicator", prefix, *found) for found in held.counts())
        if len(units.subjects):
            yield "subjects", "", "", None, len(units.subjects)


@dataclass(frozen=True)
class PanelCounts:
    """The counts of all buckets together.

    Parameters
    ----------
    arms : dict of (occasion, arm's bits) to int
        Eligible units.
    levels : dict of str to dict of str to int
        By share and level, rows before the first occasion.
    attributes : dict of str to dict of str to dict
        By indicator, attribute and level, how many subjects have it.
    known : dict of str to dict of str to int
        By indicator and attribute, how many subjects have any level.
    subjects : int
    """

    arms: dict[tuple[str, int], int]
    levels: dict[str, dict[str, int]]
    attributes: dict[str, dict[str, dict[str, int]]]
    known: dict[str, dict[str, int]]
    subjects: int

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str, str | None, int]]) -> PanelCounts:
        """From the rows of :data:`COUNT_SCHEMA`, added up over the buckets."""
        total = cls({}, {}, {}, {}, 0)
        for kind, of, name, level, count in rows:
            if kind == "arm":
                total.arms[of, int(name)] = count
            elif kind == "level":
                total.levels.setdefault(of, {})[level or ""] = count
            elif kind == "subjects":
                total = replace(total, subjects=count)
            elif level is None:
                total.known.setdefault(of, {})[name] = count
            else:
                total.attributes.setdefault(of, {}).setdefault(name, {})[level] = count
        return total

    def chosen(self, design: SpecDesign) -> ChosenLevels:
        """The levels that get a column."""
        spec = design.spec
        return ChosenLevels(
            {
                name: most_frequent(self.levels.get(name, {}), share.most)
                for name, share in spec.shares.items()
            },
            {
                name: attribute_levels(
                    self.attributes.get(name, {}), self.known.get(name, {}), self.subjects, one.most
                )
                for name, one in spec.indicators.items()
            },
        )
