from __future__ import annotations

from dataclasses import replace

import pytest

import truelift as tl
from tests.unit.policy.test_policy_doses import dose_log
from tests.unit.policy.test_policy_values import KEYS, POLICIES, bandit_log
from truelift.report.page import render_page


@pytest.fixture(scope="module")
def evaluated():
    log = bandit_log(3_000).assign(gone="zebra")
    policies = POLICIES | {"<new>": {"action": "gone"}}
    return tl.evaluate_policies(
        log, **KEYS, policies=policies, actions=["zebra"], estimators=["IPS", "SNIPS"]
    )


def test_policies_stand_on_the_page_with_their_values_and_reasons(evaluated, whole, undrawn):
    page = render_page(replace(whole, others=(evaluated,)))
    value = evaluated.value("best", "reward")
    assert '<a href="#policies">Other policies</a>' in page
    assert f"{value.value:.4f}" in page and "ships" in page
    assert "no logged action is one that the policy takes" in page
    assert "at the price of at most" in page
    assert "&lt;new&gt;" in page and "<new>" not in page
    assert f"All {len(evaluated.estimates)} estimates" in page


def test_the_values_of_whole_lists_stand_on_the_page(whole, undrawn):
    log = bandit_log(800)
    log = log.assign(slot=log.index % 2 + 1, list=log.index // 2)
    result = tl.evaluate_policies(
        log, **KEYS, policies=POLICIES, position="slot", slate="list", estimators=["IPS"]
    )
    page = render_page(replace(whole, others=(result,)))
    assert "reward a list" in page and "cascade-DR" in page


def test_a_run_without_policies_has_no_such_part(whole, undrawn):
    assert 'id="policies"' not in render_page(whole)


def test_values_of_doses_stand_on_the_page(whole, undrawn):
    frame, _ = dose_log(200)
    policies = {"<new>": {"dose": "proposed"}, "far": {"always": 30.0}}
    result = tl.evaluate_doses(
        frame,
        dose="dose",
        density="density",
        rewards="gain",
        user="user",
        context="x",
        policies=policies,
    )
    page = render_page(replace(whole, others=(result,)))
    value = result.value("<new>", "gain")
    assert '<a href="#doses">Other doses</a>' in page and "&lt;new&gt;" in page
    assert f"{value.value:.2f}" in page and "no logged dose lies near" in page
    assert f"All {len(result.estimates)} estimates" in page
    assert 'id="doses"' not in render_page(whole)
