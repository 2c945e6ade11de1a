"""Files of limits, and limits that cannot be kept, in one message each."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from truelift.config import load_settings
from truelift.errors import ConfigError, TrueliftError
from truelift.evaluation.lists import pinned_files
from truelift.recommend.limits.given import Offered, limits_given
from truelift.settings.recommend import RecommendOptions
from truelift.settings.recommend_limits import LimitOptions

OFFERED = Offered(("a", "b", "c", "d"), ("tea", "tea", "soap", ""), np.array([False, *[True] * 4]))


def limits(per_user: int = 4, cost: float = 0.0, **given):
    options = RecommendOptions(per_user=per_user, cost=cost, limits=LimitOptions(**given))
    return limits_given(options, OFFERED, lambda names: {n: f"key of {n}" for n in names})


@pytest.fixture
def file(tmp_path):
    def made(text: str, name: str = "given.csv") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return made


def test_costs_and_stock_are_by_item_and_what_is_unknown_is_said(file):
    costs = file("cost,item\n0.25,b\n1,c\n9,zzz\n", "costs.csv")
    found, said = limits(
        cost=0.5, costs=costs, stock=file("item,units\nb,3\nd,0\n"), budget_per_user=2.0
    )
    assert found.cost.tolist() == [0.0, 0.5, 0.25, 1.0, 0.5]
    assert found.stock.tolist() == [-1, -1, 3, -1, 0]
    assert said == ("recommend.limits.costs: 1 of 3 items are not in the tables.",)


def test_rules_are_by_group_category_and_item_and_blanks_mean_any(file):
    groups = file("user,group\nu,child\nv,child\nv,guest\n", "groups.csv")
    rules = file(
        "rule,group,category,item\ndeny,child,tea,\nallow,guest,,a\nallow,guest,soap,\ndeny,,,d\n"
    )
    found, _ = limits(rules=rules, groups=groups)
    usable = found.rules.usable(np.array(["key of u", "key of v", "w"], dtype=object))[:, 1:]
    assert usable.tolist() == [
        [False, False, True, False],  # a child
        [False, False, True, False],  # a child, and a guest: what both may get
        [True, True, True, False],
    ]


def test_a_person_whom_the_source_names_twice_is_in_the_groups_of_both(file):
    options = RecommendOptions(
        limits=LimitOptions(
            groups=file("user,group\nphone,child\nlaptop,guest\n", "groups.csv"),
            rules=file("rule,group,category,item\ndeny,child,tea,\nallow,guest,tea,\nallow,guest,soap,\n"),
        )
    )  # fmt: skip
    found, _ = limits_given(options, OFFERED, lambda names: dict.fromkeys(names, "one person"))
    usable = found.rules.usable(np.array(["one person"], dtype=object))[0, 1:]
    assert usable.tolist() == [False, False, True, False]


@pytest.mark.parametrize("cost", [1e14, 1e-7])
def test_costs_that_no_sum_of_whole_parts_holds_are_refused(file, cost):
    with pytest.raises(TrueliftError, match=r"costs, line 2 of .*expected at most"):
        limits(costs=file(f"item,cost\na,{cost}\n"), budget=5.0)
    with pytest.raises(ConfigError, match=r"recommend\.cost: .* six decimals"):
        limits(cost=cost, budget=1e15)


def test_more_units_than_a_sum_holds_are_refused(file):
    with pytest.raises(TrueliftError, match=r"found 1e\+30, expected at most 1e\+12"):
        limits(stock=file("item,units\na,1e30\n"))


def test_what_is_no_comma_separated_text_is_refused(file):
    longest = csv.field_size_limit(131_072)  # readers of raw logs raise it for their process
    try:
        with pytest.raises(TrueliftError, match=r"stock, line 2 of .*no comma separated text"):
            limits(stock=file(f"item,units\n{'a' * 140_000},1\n"))
    finally:
        csv.field_size_limit(longest)


def test_a_budget_without_end_is_refused():
    with pytest.raises(
        ConfigError, match=r"recommend\.limits\.budget: found inf, expected 0 to 1e15"
    ):
        LimitOptions(budget=float("inf"))


def test_rules_that_deny_everybody_everything_are_refused(file):
    with pytest.raises(TrueliftError, match=r"rules: found every item .* denied to all"):
        limits(rules=file("rule,group,category,item\ndeny,,,\n"))


def test_floors_are_by_category_or_by_a_file(file):
    found, _ = limits(floors={"soap": 0.25})
    assert (found.provider.tolist(), found.names) == ([0, 0, 0, 1, 0], ("soap",))
    found, _ = limits(floors={"new": 0.5}, providers=file("item,provider\na,new\nb,old\nd,new\n"))
    assert found.provider.tolist() == [0, 1, 0, 0, 1]


def test_nothing_given_limits_nothing():
    assert limits() == (None, ())


@pytest.mark.parametrize(
    ("given", "text", "said"),
    [
        ({"stock": "*"}, "item,units\na,some\n", "line 2 of .* found 'some', expected a whole number"),
        ({"stock": "*"}, "item,units\na,1.5\n", "found '1.5', expected a whole number"),
        ({"stock": "*"}, "item,units\na,1\na,2\n", "line 3 .* found the item 'a' again"),
        ({"stock": "*"}, "item,count\na,1\n", "expected a first line with item, units"),
        ({"stock": "*"}, "item,units\na,1,2\n", "found 3 values, expected 2"),
        ({"stock": "*"}, "item,units\nx,1\n", "none of its 1 items is in the tables"),
        ({"stock": "*"}, "item,units\n", "no line below the header"),
        ({"stock": "*"}, "item,units\na,0\nb,0\nc,0\nd,0\n", "found no unit of any item"),
        ({"costs": "*", "budget": 1.0}, "item,cost\na,-1\n", "found '-1', expected a number"),
        ({"costs": "*", "budget": 1.0}, "item,cost\na,nan\n", "found 'nan', expected a number"),
        ({"costs": "*", "budget": 1.0}, "item,cost\na,2\nb,3\nc,2\nd,2\n", "the cheapest item costs"),
        ({"rules": "*"}, "rule,group,category,item\nforbid,,,a\n", "expected 'allow' or 'deny'"),
        ({"rules": "*"}, "rule,group,category,item\ndeny,child,,a\n", "gives to no user"),
        ({"rules": "*"}, "rule,group,category,item\ndeny,,coffee,\n", "which no item has"),
        ({"floors": {"coffee": 0.5}}, "", "there is no 'coffee'"),
        ({"floors": {"soap": 0.75}}, "", "'soap' has 1 items .* fewer than the 3"),
        ({"floors": {"soap": 0.3, "tea": 0.7}}, "", "lists of 4 need 5 places"),
        ({"floors": {"soap": 0.2, "tea": 0.2}, "stock": "*"}, "item,units\nc,0\n", "'soap' has 0"),
        ({"floors": {"tea": 0.5}, "costs": "*", "budget_per_user": 3.0}, "item,cost\na,2\nb,2\n", "cost 4, more"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_kept_is_refused_with_exit_code_2(given, text, said, file):
    where = file(text)
    with pytest.raises(TrueliftError, match=said) as told:
        limits(**{k: where if v == "*" else v for k, v in given.items()})
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": -1.0}, "0 to 1e15"),
        ({"floors": {"tea": 0.7, "soap": 0.5}}, "at most 1 together"),
        ({"floors": {"tea": 0.0}}, "above 0"),
        ({"groups": "g.csv"}, "limits.rules"),
        ({"providers": "p.csv"}, "limits.floors"),
    ],
)
def test_impossible_settings_are_refused_when_they_are_read(given, said):
    with pytest.raises(ConfigError, match=said):
        LimitOptions(**given)


def test_another_content_of_a_file_runs_recommend_again(file, tmp_path):
    def pinned() -> dict[str, str]:
        address = file("item,units\na,1\n" if not seen else "item,units\na,2\n")
        settings = load_settings(
            "local", "complete_journey", (f"recommend.limits.stock={address}",), f"{tmp_path}/lake"
        )
        return pinned_files(settings)

    seen: list[dict[str, str]] = []
    seen.append(pinned())
    assert set(seen[0]) == {"recommend.limits.stock"}
    assert seen[0] != pinned()
