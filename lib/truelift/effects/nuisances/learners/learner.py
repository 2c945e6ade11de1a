"""What a learner is: a row of the registry that the options' names are looked up in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from truelift.errors import ConfigError
from truelift.extras import extra_of
from truelift.progress import Tell

if TYPE_CHECKING:
    import numpy as np

    from truelift.effects.heterogeneity.forecasts import ScoreReader
    from truelift.effects.nuisances.fitted import Fitted
    from truelift.effects.nuisances.moments import Moments
    from truelift.effects.panel.source import PanelSource
    from truelift.settings import EffectOptions


class FoldRegressions(Protocol):
    """Regressions by fold: what a learner makes of the scores of several contrasts."""

    def regression(self, x: np.ndarray, fold: int, arm: int, outcome: int) -> np.ndarray:
        """Predictions (n) from features (p, n)."""


@dataclass(frozen=True)
class Learner:
    """A way to fit propensities and outcome regressions out of fold.

    Parameters
    ----------
    name : str
        What ``effects.nuisances.learner`` calls it.
    fit : callable
        ``(source, moments, options, progress) -> Fitted``. The source gives passes over the panel
        (:class:`~truelift.effects.panel.source.PanelSource`); it knows no learner.
    options : type, optional
        A frozen dataclass that validates itself. Ours stand under ``effects.nuisances.learners.boosting`` and
        ``effects.nuisances.learners.neural``; those of another package under ``effects.nuisances.learners``, by the learner's
        name. They are parsed as the settings are, before anything is read.
    key : str
        Of the section of its options.
    needs : tuple of str
        Modules that have to be there, found missing before anything is read.
    forecast : callable, optional
        ``(source, reader, options, sequential, progress) -> FoldRegressions``: regressions of
        scores on features, where it serves as ``effects.heterogeneity.learner`` too.
    """

    name: str
    fit: Callable[[PanelSource, Moments, EffectOptions, Tell], Fitted]
    options: type[Any] | None = None
    key: str = ""
    needs: tuple[str, ...] = ()
    forecast: (
        Callable[[PanelSource, ScoreReader, EffectOptions, bool, Tell], FoldRegressions] | None
    ) = None

    def check(self, key: str = "effects.nuisances.learner") -> None:
        """Refuse to begin without the modules that the learner needs.

        Raises
        ------
        ConfigError
        """
        if missing := [name for name in self.needs if find_spec(name) is None]:
            extra = extra_of(missing[0])
            how = (
                "it" if extra is None else f"the extra [{extra}] (pip install 'truelift[{extra}]')"
            )
            raise ConfigError(
                f"{key}: {self.name!r} needs the package {', '.join(missing)}, which is not "
                f"installed here. Install {how}, or choose another learner."
            )
