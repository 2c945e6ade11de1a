"""Ridge regressions and a logistic propensity, from sums alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.effects.nuisances.learners.learner import Learner
from truelift.progress import Tell

if TYPE_CHECKING:
    from truelift.effects.nuisances.fitted import Fitted
    from truelift.effects.nuisances.moments import Moments
    from truelift.effects.panel.source import PanelSource
    from truelift.settings import EffectOptions


def fit(source: PanelSource, moments: Moments, options: EffectOptions, progress: Tell) -> Fitted:
    """See :func:`~truelift.effects.nuisances.linear.fit_linear`."""
    # Settings name this learner by default: those who only read them need no arithmetic.
    from truelift.effects.nuisances.linear import fit_linear

    return fit_linear(source, moments, options, progress)


LINEAR = Learner("linear", fit)
