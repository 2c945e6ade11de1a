"""Linear and boosted models together, weighted by how well each predicts."""

from __future__ import annotations

from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.learners.boosting import fit_boosting
from truelift.effects.learners.learner import Learner, Progress
from truelift.effects.linear import fit_linear
from truelift.effects.moments import Moments
from truelift.effects.nuisances import Fitted
from truelift.effects.source import PanelSource
from truelift.effects.stack import fit_stack
from truelift.settings import EffectOptions


def fit_both(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Progress
) -> Fitted:
    """A convex combination of the linear and the boosted models; see :mod:`~truelift.effects.stack`."""
    linear = fit_linear(source, moments, options, progress)
    boosted = fit_boosting(source, moments, options, progress)
    return fit_stack(source, moments, options, (linear, boosted), progress)


STACK = Learner("stack", fit_both, BoostingOptions, "effects.boosting")
