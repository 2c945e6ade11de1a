"""Only user, item and time have to be there; another mapped column is null where it is absent."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.logs.raw_world import MAPPING, World
from truelift.errors import SourceError
from truelift.settings import ReferenceOptions


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


@pytest.fixture
def shop(world):
    """Lines of JSON, with a value and a coupon mapped."""
    mapping = replace(MAPPING, value="price", context=("coupon",))
    world.options |= {"format": "jsonl", "path": str(world.raw), "mapping": mapping}

    def deliver(name, *records):
        text = "".join(json.dumps({"t": "2024-01-01", "i": "1", **r}) + "\n" for r in records)
        (world.raw / name).write_text(text)

    world.deliver = deliver
    return world


def prices(world):
    return {row["u"]: row["price"] for row in world.rows()}


def test_a_key_that_comes_after_the_first_thousand_lines_has_its_column(shop):
    shop.deliver("a.jsonl", *({"u": str(n)} for n in range(1200)), {"u": "late", "price": 2.5})
    result = shop.run()
    assert result.missing_columns == ("events.price", "events.coupon")
    assert prices(shop)["late"] == "2.5"
    assert prices(shop)["7"] is None
    assert all(row["_other"] is None for row in shop.rows())


def test_a_key_that_an_hour_lacks_is_null_there(shop):
    shop.deliver("a.jsonl", {"u": "a", "price": 1})
    shop.run()
    shop.deliver("b.jsonl", {"u": "b"})
    result = shop.run()
    assert prices(shop) == {"a": "1", "b": None}
    assert "events.price" in result.missing_columns


def test_a_key_that_no_file_has_is_null_and_said(shop):
    shop.deliver("a.jsonl", {"u": "a", "other": 1})
    assert shop.run().missing_columns == ("events.price", "events.coupon")
    assert prices(shop) == {"a": None}


@pytest.mark.parametrize("field", ["u", "i", "t"])
def test_user_item_and_time_have_to_be_there(shop, field):
    (shop.raw / "a.jsonl").write_text(
        json.dumps({k: "1" for k in ("u", "i", "t", "price") if k != field}) + "\n"
    )
    with pytest.raises(SourceError, match=rf"source\.mapping\.\w+ names the column '{field}'"):
        shop.run()


def test_a_required_key_may_come_after_the_first_thousand_lines(world):
    mapping = replace(MAPPING, user="Who.id")
    world.options |= {"format": "jsonl", "path": str(world.raw), "mapping": mapping}
    beats = ['{"i": "1", "t": "2024-01-01", "kind": "beat"}'] * 1000
    last = '{"who": {"id": "a"}, "i": "1", "t": "2024-01-01"}'
    (world.raw / "a.jsonl").write_text("\n".join([*beats, last]) + "\n")
    world.run()
    assert [row["Who_id"] for row in world.rows() if row["Who_id"]] == ["a"]
    (world.raw / "b.jsonl").write_text("\n".join(beats * 2) + "\n")
    with pytest.raises(SourceError, match=r"'Who\.id', which .*b\.jsonl does not have"):
        world.run()


def test_a_column_that_one_file_of_a_header_lacks_is_null_there(world):
    world.options["mapping"] = replace(MAPPING, value="price")
    world.write("a.csv", "x,1,2024-01-01")
    assert world.run().missing_columns == ("events.price",)
    world.write("b.csv", "y,1,2024-01-01,7", header="u,i,t,price")
    world.run()
    assert prices(world) == {"x": None, "y": "7"}


def test_a_column_that_only_differs_by_a_slip_is_refused_with_the_nearest(world):
    world.options["mapping"] = replace(MAPPING, value="prise")
    world.write("a.csv", "x,1,2024-01-01,7", header="u,i,t,price")
    with pytest.raises(SourceError, match=r"source\.mapping\.value names .* Did you mean 'price'"):
        world.run()


def test_a_stream_beside_the_events_needs_its_key_alone(world):
    items = world.raw.parent / "items.jsonl"
    columns = {"item_id": "i", "category": "kind"}
    world.options["items"] = ReferenceOptions(str(items), columns)
    world.write("a.csv", "x,1,2024-01-01")
    items.write_text("".join(f'{{"i": {n}}}\n' for n in range(1001)) + '{"i": -1, "kind": "A"}\n')
    world.run()
    assert {row["i"]: row["kind"] for row in world.rows("bronze.items")}["-1"] == "A"
    items.write_text('{"kind": "A"}\n')
    with pytest.raises(SourceError, match=r"source\.items\.columns\.item_id names"):
        world.run()
