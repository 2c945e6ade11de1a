"""What all units of a panel share: decided once, before any bucket is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from truelift.features.catalogue import LookupSource, categories_of_items
from truelift.features.panels.levels import ChosenLevels
from truelift.features.panels.occasions import Clock, Occasion
from truelift.features.panels.reading import StoredSource
from truelift.settings.panel_spec import PanelSpec


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
    levels : ChosenLevels
        Columns that the data name.
    stored : mapping of str to StoredSource
        Sources whose tables come as they are stored.
    lookups : mapping of str to LookupSource
        By share the table that holds the level of a value.
    """

    spec: PanelSpec
    occasions: tuple[Occasion, ...]
    data_start: int
    texts: tuple[str, ...] = ()
    levels: ChosenLevels = field(default_factory=ChosenLevels)
    stored: Mapping[str, StoredSource] = field(default_factory=dict)
    lookups: Mapping[str, LookupSource] = field(default_factory=dict)

    @property
    def clock(self) -> Clock:
        """How times are counted."""
        return Clock(self.spec.clock, self.spec.time_zone)

    def numeric_arms(self) -> bool:
        """Whether all arms are named by numbers, as 0 and 1."""
        return all(label.isdecimal() for label in self.spec.treatment.labels())

    def columns_of_levels(self) -> tuple[str, ...]:
        """The columns that the data name, in order."""
        return self.levels.columns(self.spec, self.occasions)

    def rows(self, tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
        """The tables of a bucket with the columns that kernels read."""
        return {n: self.stored[n].rows(t) if n in self.stored else t for n, t in tables.items()}

    def level_of(self, share: str, values: pa.Array) -> pa.Array:
        """The level of each value of a share's source."""
        if self.spec.shares[share].lookup is None:
            return values
        lookup = self.lookups.get(share)
        return categories_of_items(values, lookup.load() if lookup is not None else None)

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
        types |= dict.fromkeys(self.columns_of_levels(), pa.float64())
        return pa.schema([*types.items(), ("bucket", pa.int32())])
