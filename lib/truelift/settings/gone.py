"""Keys that were once in the settings, and why they went: whoever still has one is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truelift.errors import ConfigError

_DECISION = "(docs/decisions/0004-sequence-recipes.md)"

GONE: dict[str, str] = {
    "sequence.average": "a moving average of the weights made no difference at the end of a "
    f"training: validation NDCG@10 differed by .0003 {_DECISION}",
    "sequence.xla": "compiled by XLA, SASRec trained at a fourteenth and the GRU at a third of the "
    f"speed without it {_DECISION}",
    "sequence.gated": "gates on SASRec's layers could not be told from chance: NDCG@10 .1200 "
    f"beside .1170, standard error .0026 {_DECISION}",
    "sequence.compression": "gradients of 16 bits made training on two processes slower: 22.6 "
    f"steps a second beside 25.3 {_DECISION}",
}


def refuse_gone(configuration: Mapping[str, Any]) -> None:
    """Say of keys that are no more why they went.

    Parameters
    ----------
    configuration : mapping
        Sections by name, before anything of them is checked.

    Raises
    ------
    ConfigError
        Naming all of them.
    """
    found = []
    for key, why in GONE.items():
        section, _, name = key.rpartition(".")
        options = configuration.get(section)
        if isinstance(options, Mapping) and name in options:
            found.append(f"{key} is no longer an option: {why}")
    if found:
        raise ConfigError(f"{'; '.join(found)}. Leave the key out.")
