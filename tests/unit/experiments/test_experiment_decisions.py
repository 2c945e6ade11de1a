"""The rule of an experiment: what ships, what holds, what stops."""

from __future__ import annotations

import pytest

from truelift.experiments.analysis.decide import decide
from truelift.experiments.analysis.results import GuardrailCheck, MetricEffect
from truelift.experiments.spec import ExperimentSpec
from truelift.typed import from_plain


def effect(lower, upper, arm="treated", better=1):
    middle = (lower + upper) / 2
    return MetricEffect(
        "spend", "mean", "", "difference", "", arm, "control", 1.0, 1.0 + middle, middle, 1.0, lower,
        upper, 0.5, 100.0, lower, upper, 0.5, middle, lower, upper, better,
    )  # fmt: skip


def guard(state, arm="treated"):
    return GuardrailCheck("refunds", arm, 0.1, state, 0.5)


def decided(effects, guardrails=(), p_value=0.5, units=1000, final=True, looks="pocock", **rule):
    plain = {
        "name": "trial", "unit": "user", "metrics": {"spend": {}}, "decision": rule,
        "looks": {"method": looks},
    }  # fmt: skip
    spec = from_plain(ExperimentSpec, plain)
    return decide(spec, tuple(effects), tuple(guardrails), p_value, units, final)


@pytest.mark.parametrize(
    ("interval", "guardrails", "final", "expected"),
    [
        ((0.1, 0.9), ["kept"], True, "ship"),
        ((0.1, 0.9), [], False, "ship"),
        ((0.1, 0.9), ["open"], False, "hold"),
        ((0.1, 0.9), ["harmed"], False, "stop"),
        ((-0.1, 0.9), ["kept"], False, "hold"),
        ((-0.1, 0.9), ["kept"], True, "stop"),
        ((-0.9, -0.1), ["kept"], False, "stop"),
    ],
)
def test_the_interval_and_the_guardrails_decide(interval, guardrails, final, expected):
    found = decided([effect(*interval)], map(guard, guardrails), final=final)
    assert found.decision == expected and found.reasons


def test_an_end_without_an_answer_is_what_the_rule_says():
    assert decided([effect(-0.1, 0.9)], at_end="hold").decision == "hold"


def test_more_than_nothing_may_be_asked_for():
    found = decided([effect(0.1, 0.9)], final=False, ship_above=0.2)
    assert found.decision == "hold"
    # What an index of experiments shows is the reason itself.
    assert found.reasons[0].startswith("Not decided yet, go on: treated gains from 0.1 to 0.9")


def test_a_gain_may_be_a_fall():
    assert decided([effect(-0.9, -0.1, better=-1)]).decision == "ship"


def test_sizes_that_were_not_promised_come_before_everything():
    found = decided([effect(0.1, 0.9)], [guard("kept")], p_value=1e-6)
    assert found.decision == "hold" and "promised" in found.reasons[0]


def test_too_few_units_decide_nothing():
    assert decided([effect(0.1, 0.9)], least_units=2000).decision == "hold"


def test_an_experiment_of_one_look_waits_for_its_end():
    assert decided([effect(0.1, 0.9)], final=False, looks="none").decision == "hold"


def test_of_several_arms_the_best_that_keeps_its_guardrails_ships():
    effects = [effect(0.1, 0.3, "a"), effect(0.2, 0.6, "b")]
    found = decided(effects, [guard("kept", "a"), guard("harmed", "b")])
    assert (found.decision, found.arm) == ("ship", "a")
    assert decided(effects, [guard("kept", "a"), guard("kept", "b")]).arm == "b"


def test_arms_stop_when_all_of_them_lose():
    one, other = effect(-0.9, -0.1, "a"), effect(-0.2, 0.4, "b")
    assert decided([one, other], final=False).decision == "hold"
    assert decided([one, effect(-0.4, -0.2, "b")], final=False).decision == "stop"
