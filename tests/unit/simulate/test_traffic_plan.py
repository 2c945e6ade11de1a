"""Numbers of rows, and that they depend on rows, world and seed alone."""

import random

import pyarrow as pa
import pytest

from truelift.errors import ConfigError
from truelift.simulate.traffic.block import traffic_block
from truelift.simulate.traffic.memory import simulate_traffic
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.world import (
    BOT_KINDS,
    DIRT_KINDS,
    BotShares,
    DirtShares,
    TrafficWorld,
)


def test_the_same_seed_draws_the_same_rows():
    first, again = simulate_traffic(30_000, seed=4), simulate_traffic(30_000, seed=4)
    assert first.events.equals(again.events) and first.truth.equals(again.truth)
    assert not first.events.equals(simulate_traffic(30_000, seed=5).events)


def test_a_block_does_not_depend_on_those_drawn_before():
    plan = TrafficPlan(90_000, TrafficWorld(top_user_share=0.2), 3)
    order = list(range(plan.blocks))
    forwards = [traffic_block(plan, block) for block in order]
    random.Random(1).shuffle(order)
    mixed = {block: traffic_block(plan, block) for block in order}
    assert pa.concat_tables(forwards).equals(
        pa.concat_tables([mixed[block] for block in range(plan.blocks)])
    )


@pytest.mark.parametrize("rows", [3_000, 10_000, 20_001, 123_457])
@pytest.mark.parametrize("top_user_share", [0.0, 0.3])
def test_the_rows_are_as_many_as_asked_for(rows, top_user_share):
    plan = TrafficPlan(rows, TrafficWorld(top_user_share=top_user_share), 1)
    assert sum(plan.rows_of(block) for block in range(plan.blocks)) == rows
    drawn = [traffic_block(plan, block) for block in range(plan.blocks)]
    assert [table.num_rows for table in drawn] == [plan.rows_of(b) for b in range(plan.blocks)]
    numbers = sorted(pa.concat_tables(drawn)["row"].to_pylist())
    assert numbers == list(range(rows))


def test_only_broken_lines_are_missing_from_the_tables_in_memory():
    traffic = simulate_traffic(50_000)
    assert 50_000 * 0.99 < traffic.events.num_rows < 50_000
    assert "corrupt_row" not in traffic.dirt
    assert traffic.truth.num_rows == traffic.events.num_rows
    assert "clean" in repr(traffic)
    frame = traffic.to_pandas()
    assert list(frame["true_user"]) == traffic.truth["true_user"].to_pylist()
    assert list(frame["event_id"]) == traffic.events["event_id"].to_pylist()


def test_each_kind_of_dirt_and_bot_has_its_share():
    plan = TrafficPlan(200_000, TrafficWorld(), 2)
    drawn = pa.concat_tables([traffic_block(plan, b) for b in range(plan.blocks)])
    dirt, bots = drawn["dirt"].to_pylist(), drawn["bot"].to_pylist()
    for kind in DIRT_KINDS:
        assert dirt.count(kind) == pytest.approx(getattr(DirtShares(), kind) * 200_000, abs=1)
    for kind in BOT_KINDS:
        assert bots.count(kind) == pytest.approx(getattr(BotShares(), kind) * 200_000, abs=540)


def test_small_logs_have_every_kind():
    plan = TrafficPlan(10_000)
    drawn = pa.concat_tables([traffic_block(plan, b) for b in range(plan.blocks)])
    assert set(drawn["dirt"].to_pylist()) == {None, *DIRT_KINDS}
    assert set(drawn["bot"].to_pylist()) == {None, *BOT_KINDS}


def test_a_world_without_dirt_and_bots_has_none():
    traffic = simulate_traffic(5_000, TrafficWorld().without(*DIRT_KINDS, *BOT_KINDS))
    assert traffic.clean_rows == traffic.events.num_rows == 5_000
    assert traffic.dirt == traffic.bots == {}


def test_event_ids_are_unique_but_for_the_repeated_ones():
    traffic = simulate_traffic(60_000, TrafficWorld().without("duplicate", "repeated_event_id"))
    ids = traffic.events["event_id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_the_top_user_owns_its_share_in_one_session_and_several_blocks():
    plan = TrafficPlan(200_000, TrafficWorld(top_user_share=0.3), 1)
    drawn = [traffic_block(plan, block) for block in range(plan.blocks)]
    owned = [set(t["user"].to_pylist()) for t in drawn[plan.crowd_blocks :]]
    assert len(owned) == 3 and len(set.union(*owned)) == 1
    rows = pa.concat_tables(drawn[plan.crowd_blocks :])
    assert rows.num_rows == 60_000
    assert set(rows["true_session"].to_pylist()) == {0}


def test_a_few_users_do_much_and_many_do_little():
    traffic = simulate_traffic(100_000, TrafficWorld().without(*BOT_KINDS))
    counts = sorted(
        traffic.truth.group_by("true_user").aggregate([("row", "count")])["row_count"].to_pylist()
    )
    tenth = len(counts) // 10
    assert sum(counts[-tenth:]) > 0.3 * sum(counts)
    assert counts[len(counts) // 2] < 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": 0}, "traffic.days: found 0, expected at least 1"),
        ({"first_day": "May"}, "traffic.first_day: found 'May'"),
        ({"items": 10}, "traffic.items: found 10"),
        ({"top_user_share": 1.0}, "top_user_share: found 1.0"),
        ({"events_per_user": 900.0}, "traffic.events_per_user: found 900.0"),
        ({"view_share": 0.99}, "traffic.view_share"),
        ({"dirt": DirtShares(duplicate=0.5)}, "add up to 0.4"),
        ({"bots": BotShares(bot_rate=-0.1)}, "bots.bot_rate: found -0.1"),
    ],
)
def test_a_world_that_cannot_be_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        TrafficWorld(**change)


def test_an_impossible_number_of_rows_seed_or_kind_is_refused():
    with pytest.raises(ConfigError, match="at least 2000"):
        TrafficPlan(10)
    with pytest.raises(ConfigError, match="found 3000, 1500 of them the top user's"):
        TrafficPlan(3_000, TrafficWorld(top_user_share=0.5))
    with pytest.raises(ConfigError, match="seed: found -1"):
        TrafficPlan(10_000, seed=-1)
    with pytest.raises(ConfigError, match="too few for a user who never sleeps"):
        TrafficPlan(2_100, TrafficWorld(top_user_share=0.01))
    with pytest.raises(ConfigError, match=r"no dirt or bot \['mud'\]"):
        TrafficWorld().without("mud")
