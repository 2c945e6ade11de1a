"""Linear and boosted models together, weighted by how well each predicts."""

from __future__ import annotations

from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.nuisances.fitted import Fitted
from truelift.effects.nuisances.learners.boosting import fit_boosting
from truelift.effects.nuisances.learners.learner import Learner
from truelift.effects.nuisances.linear import fit_linear
from truelift.effects.nuisances.moments import Moments
from truelift.effects.nuisances.stack import fit_stack
from truelift.effects.panel.source import PanelSource
from truelift.progress import Tell
from truelift.settings import EffectOptions


def fit_both(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Tell
) -> Fitted:
    """A convex combination of the linear and the boosted models; see :mod:`~truelift.effects.nuisances.stack`."""
    linear = fit_linear(source, moments, options, progress)
    boosted = fit_boosting(source, moments, options, progress)
    return fit_stack(source, moments, options, (linear, boosted), progress)


STACK = Learner("stack", fit_both, BoostingOptions, "effects.nuisances.learners.boosting")
