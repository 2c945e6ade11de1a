"""Shapes and losses of the models whose step is one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from truelift.errors import DataError
from truelift.settings.checks import require
from truelift.settings.sequence_sections import LOSSES

# Codes of a side feature that a model keeps apart unless the data say how many there are; a code
# at or above the number counts as unknown.
DEFAULT_SIZES = {"event_type": 32, "category": 1024, "gap_bucket": 64}

# From so many items on, a sampled loss touches only rows in use.
SPARSE_FROM = 100_000

# Tokens of full softmax at once. Larger slices leave the cache, smaller ones pay overhead.
SLICE_TOKENS = 512


@dataclass(frozen=True)
class EventModelOptions:
    """What all event models share.

    Parameters
    ----------
    items : int
        Size of the vocabulary; item indices run from 1 to ``items``.
    units : int
        Width of embeddings and states.
    layers : int
        Blocks, or stacked recurrent layers.
    dropout : float
        Share of embedding and residual (or state) values dropped while training.
    embedding_spread : float
        Standard deviation of the item embeddings at the start; 0 stands for ``units ** -0.5``.
    max_length : int
        Positions of the longest window.
    side_features : tuple of (str, int)
        Name and number of codes (0, unknown, among them) of each side feature.
    loss : str
        ``'full_softmax'``, ``'sampled_softmax'``, ``'bce'`` or ``'gbce'``.
    negatives : int
        Sampled items, shared by all targets of a batch.
    calibration : float
        ``t`` of gBCE: 0 is BCE, 1 is calibrated in full.
    popularity_power : float
        Negatives come with probability proportional to ``count ** popularity_power``; 0 is
        uniform.
    sparse : bool
        Whether a step touches only the rows of the batch's items (sampled losses alone).
    mixed_precision : bool
        Whether matrix products are in bfloat16 where a GPU is present.
    """

    items: int
    units: int = 64
    layers: int = 2
    dropout: float = 0.2
    embedding_spread: float = 0.02
    max_length: int = 200
    side_features: tuple[tuple[str, int], ...] = ()
    loss: str = "full_softmax"
    negatives: int = 256
    calibration: float = 0.75
    popularity_power: float = 0.0
    sparse: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        def need(name: str, condition: bool, expected: str) -> None:
            require(condition, f"{type(self).__name__}.{name}", getattr(self, name), expected)

        need("items", self.items >= 1, "at least 1")
        need("loss", self.loss in LOSSES, f"one of {', '.join(LOSSES)}")
        need("embedding_spread", self.embedding_spread >= 0, "at least 0")
        need("popularity_power", 0 <= self.popularity_power <= 1, "a power in [0, 1]")
        need("sparse", not self.sparse or self.loss != "full_softmax",
             "false with full_softmax, whose gradient reaches every row")  # fmt: skip

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the side features, in their order in the input tensor."""
        return tuple(name for name, _ in self.side_features)

    @classmethod
    def from_settings(
        cls, items: int, sequence: Any, sizes: Mapping[str, int] | None = None, **more: Any
    ) -> Self:
        """From the section ``sequence`` and, where known, the data's number of codes."""
        known = {**DEFAULT_SIZES, **(sizes or {})}
        own = {f.name for f in fields(cls)}
        training = ("loss", "negatives", "calibration", "mixed_precision")
        given = {
            **{name: value for name, value in asdict(sequence.network).items() if name in own},
            **{name: getattr(sequence.training, name) for name in training},
            "max_length": sequence.histories.max_length,
        }
        side = tuple((name, int(known[name])) for name in sequence.histories.side_features)
        options = cls(items=items, side_features=side, **{**given, **more})
        sampled = options.loss != "full_softmax"
        return replace(options, sparse=sampled and items >= SPARSE_FROM)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`plain`, also after a trip through JSON.

        Raises
        ------
        DataError
            For the options of a model that this version cannot build.
        """
        # Models that were registered before these options went still name them.
        known = {name: value for name, value in plain.items() if name not in ("xla", "gated")}
        if plain.get("gated"):
            raise DataError(
                "The model was trained with sequence.gated, which is no longer an option, so its "
                "weights do not fit; run train_sequence again."
            )
        side = tuple((str(name), int(size)) for name, size in plain["side_features"])
        return cls(**{**known, "side_features": side})

    def plain(self) -> dict[str, Any]:
        """As numbers, texts and lists."""
        return asdict(self)


@dataclass(frozen=True)
class SASRecOptions(EventModelOptions):
    """A transformer's own shape.

    Parameters
    ----------
    heads : int
        Attention heads a block.
    expansion : int
        Width of the feed-forward layer as a multiple of ``units``.
    relative_time : bool
        Whether attention weights see the time between two events.
    """

    heads: int = 1
    expansion: int = 1
    relative_time: bool = False
