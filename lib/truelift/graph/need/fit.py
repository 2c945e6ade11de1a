"""From steps to needs: how many, which, and what acting changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from truelift.graph.need.columns import Coding
from truelift.graph.need.effects import of_states
from truelift.graph.need.number_effects import of_numbers, require_noise, require_steps
from truelift.graph.need.results import NeedsResult, TriedNeeds
from truelift.graph.need.source import StepSource, sample_of
from truelift.graph.need.spec import CATEGORY, COUNT, NUMBER, NUMBERS, NeedSpec
from truelift.models.need.choosing import (
    APART,
    Scale,
    Tried,
    compared,
    passes_of,
    prior_of,
    require_agreement,
    require_known,
    scale_of,
    tried,
)
from truelift.models.need.coordinates import AnyLayout, Model
from truelift.models.need.fitting import Fit, em, gain_of, newton
from truelift.models.need.information import Covariance, clustered, information_of, models_near
from truelift.models.need.linear import LinearModel, NumberLayout
from truelift.models.need.matching import by_frequency, distance
from truelift.models.need.rows import NeedRows, joined
from truelift.models.need.states import Layout
from truelift.progress import Tell

# Fits whose likelihoods on the sample are this near are compared on all users.
_NEAR = 10.0
_LEAST_GAIN = 1e-5
_EM_PASSES, _NEWTON_PASSES = 5, 30
# Nats that a fit may leave behind, far below what a test tells apart.
_DONE = 0.05


@dataclass(frozen=True, eq=False)
class FittedNeeds:
    """A model of needs, how sure it is, and what it says.

    Parameters
    ----------
    result : NeedsResult
    model : Model
        Needs in the order of the result.
    covariance : Covariance
    coding : Coding
    """

    result: NeedsResult
    model: Model
    covariance: Covariance
    coding: Coding

    def drawn(self) -> list[Model]:
        """Models as likely as the errors say, for intervals of posteriors."""
        spec = self.coding.spec
        return models_near(self.model, self.covariance, spec.draws, spec.seed)


def fitted_needs(
    source: StepSource, spec: NeedSpec, version: str = "0", tell: Tell = lambda text: None
) -> FittedNeeds:
    """Learn needs from steps.

    Parameters
    ----------
    source : StepSource
    spec : NeedSpec
    version : str
        Of the table.
    tell : callable

    Raises
    ------
    NotSupportedError
        If starts that are as likely end in different needs.
    DataError, ConfigError
        For columns that cannot be used.
    """
    tell("which values the columns have")
    coding = source.look(spec)
    sample = sample_of(source, coding, spec.sample_users)
    held, learned = _split(sample)
    whole = [joined(list(sample.values()))]
    numbers = tuple(sorted(set(spec.needs)))
    if spec.model == NUMBERS:
        numbers = tuple(n for n in numbers if n <= len(spec.seen))
        require_steps(source.name, whole)
    layouts = {needs: layout_of(coding, needs) for needs in numbers}
    scale = scale_of(layouts[numbers[0]], [learned])
    told, fits = [], {}
    for needs in numbers:
        tell(f"{needs} needs: starts")
        layout = layouts[needs]
        fits[needs] = tried(
            layout, [learned], scale, spec.prior_rows, spec.starts, spec.seed, spec.passes
        )
        told.append(_by_user(coding, fits[needs][0].model, held))
    judged, taken = compared(numbers, told)
    needs = numbers[taken]
    layout, prior = layouts[needs], prior_of(layouts[needs], scale, spec.prior_rows)
    own = fits[needs]
    best = [fit for fit in own if own[0].objective - fit.objective < _NEAR]
    fit, agreed = _on_all(source, coding, best, whole, prior, scale, spec, tell)
    require_noise(source.name, coding.of_kind(NUMBER), fit.model, scale.sd)
    order = by_frequency(fit.model, fit.sums)
    model = fit.model.relabelled(order)
    tell("how sure it is")
    sums = source.sums(coding, model)
    users = float(layout.parts(sums)["told"][1])
    information = information_of(model, whole, prior, users)
    require_known(model, information.matrix)
    fit = replace(fit, gain_left=gain_of(model, sums, prior, information.matrix))
    covariance = clustered(model, sums, source.products(coding, model), information, prior)
    result = _result(source, coding, model, covariance, sums, fit, version)
    result = _with(result, judged, len(own), agreed)
    return FittedNeeds(result, model, covariance, coding)


def layout_of(coding: Coding, needs: int) -> AnyLayout:
    """What a model of so many needs has, for these columns."""
    if coding.spec.model == NUMBERS:
        return NumberLayout(needs, coding.inputs, len(coding.of_kind(NUMBER)), coding.base)
    return Layout(
        needs, coding.inputs, tuple(len(coding.levels[c]) for c in coding.of_kind(CATEGORY)),
        len(coding.of_kind(COUNT)), len(coding.of_kind(NUMBER)), coding.spec.model == "states",
    )  # fmt: skip


def _split(sample: dict[int, NeedRows]) -> list[NeedRows]:
    """A fifth of the buckets, and the others."""
    numbers = list(sample)
    held = numbers[::5] if len(numbers) >= 5 else numbers[:1]
    others = [b for b in numbers if b not in set(held)]
    return [joined([sample[b] for b in some]) for some in (held, others)]


def _log_sizes(coding: Coding) -> np.ndarray:
    """What a number's density loses by the unit it is coded in, in nats."""
    return np.array([np.log(coding.units[c].size) for c in coding.of_kind(NUMBER)])


def _by_user(coding: Coding, model: Model, rows: NeedRows) -> np.ndarray:
    """The log-likelihood of each user."""
    lost = np.isfinite(rows.numbers) @ _log_sizes(coding)
    return model.sums_by_user(rows)[:, -1] - np.add.reduceat(lost, rows.starts[:-1])


def _on_all(
    source: StepSource, coding: Coding, fits: list[Fit], sample: list[NeedRows], prior: np.ndarray, scale: Scale,
    spec: NeedSpec, tell: Tell,
) -> tuple[Fit, int]:  # fmt: skip
    """Bring what the sample's starts came to to the maximum over all users; those that are one model once."""
    ends: list[tuple[Fit, list[int]]] = []
    for number, fit in enumerate(fits):
        tell(f"all users, start {number + 1} of {len(fits)}")
        start = em(passes_of(sample), fit.model, prior, scale.sd, 1e-4, spec.passes)
        if same := [came for end, came in ends if distance(start.model, end.model) < APART / 2]:
            same[0].append(number)
            continue

        def total(model: Model) -> np.ndarray:
            return source.sums(coding, model)

        whole = em(total, start.model, prior, scale.sd, _LEAST_GAIN, _EM_PASSES)
        size = float(whole.model.layout.parts(whole.sums)["told"][1])
        matrix = information_of(whole.model, sample, prior, size).matrix
        near = newton(total, whole, prior, matrix, scale.sd, _LEAST_GAIN, _NEWTON_PASSES)
        if not near.gain_left < 1.0:
            near = em(total, near.model, prior, scale.sd, _LEAST_GAIN, spec.passes)
        ends.append((near, [number]))
    ends.sort(key=lambda end: -end[0].objective)
    alike = require_agreement([end for end, _ in ends])
    return ends[0][0], sum(len(came) for end, came in ends if end in alike)


def _result(
    source: StepSource, coding: Coding, model: Model, covariance: Covariance, sums: np.ndarray,
    fit: Fit, version: str,
) -> NeedsResult:  # fmt: skip
    spec = coding.spec
    part = model.layout.parts(sums)
    z = float(norm.ppf((1 + spec.confidence) / 2))
    if isinstance(model, LinearModel):
        said = of_numbers(coding, model, covariance, part, z)
    else:
        said = of_states(coding, model, covariance, part, z)
    steps = said.steps
    named = {coding.input_name(a): round(float(steps[a])) for a in range(coding.inputs)}
    unseen = [coding.input_name(a) for a in range(coding.inputs) if steps[a] <= 0]
    notes = [f"inputs: {name} was never shown, so nothing is said of it." for name in unseen]
    notes += said.notes
    if not abs(fit.gain_left) < _DONE:
        notes.append(
            f"The likelihood would still rise by about {fit.gain_left:.2g} nats: errors are those of a fit that has not "
            "ended. Raise passes."
        )
    told = float(part["told"][2]) - sum(
        coding.units[c].rows * size
        for c, size in zip(coding.of_kind(NUMBER), _log_sizes(coding), strict=True)
    )
    return NeedsResult(
        source.name, version, spec.model, round(float(part["told"][0])), round(float(part["told"][1])),
        dict(coding.kinds), named, coding.input_name(coding.base), (), 0, 0,
        said.needs, said.moves, said.effects, told, len(fit.path), fit.gain_left,
        spec.confidence, spec.posterior, tuple(notes),
    )  # fmt: skip


def _with(result: NeedsResult, judged: tuple[Tried, ...], starts: int, agreed: int) -> NeedsResult:
    told = tuple(TriedNeeds(t.needs, t.held_out, t.behind, t.standard_error) for t in judged)
    return replace(result, tried=told, starts=starts, agreed=agreed)
