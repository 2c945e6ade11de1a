"""Ridge regressions and a logistic propensity, from sums alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.effects.learners.learner import Learner, Progress

if TYPE_CHECKING:
    from truelift.effects.moments import Moments
    from truelift.effects.nuisances import Fitted
    from truelift.effects.source import PanelSource
    from truelift.settings import EffectOptions


def fit(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Progress
) -> Fitted:
    """See :func:`~truelift.effects.linear.fit_linear`."""
    # Settings name this learner by default: those who only read them need no arithmetic.
    from truelift.effects.linear import fit_linear

    return fit_linear(source, moments, options, progress)


LINEAR = Learner("linear", fit)
