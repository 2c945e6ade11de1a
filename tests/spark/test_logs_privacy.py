"""Pseudonyms, persons stitched from several keys, and people who want to be forgotten."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest

from tests.spark.logs_source import rows_of, write_csv, write_dataset
from truelift.errors import ConfigError, DataError, TableError
from truelift.logs.clean import clean
from truelift.logs.forget import forget_user
from truelift.logs.identities import resolved
from truelift.logs.ingest import ingest
from truelift.logs.pseudonyms import UserKeys, load_secret, padded, secret_name
from truelift.logs.sessionize import sessionize
from truelift.settings import PrivacyOptions
from truelift.tools import tool_job

LINES = [
    "ann,x,2024-01-01 10:00:00,1,1",
    "ann,x,2024-01-01 10:00:00,1,1",
    "ann,y,2024-01-01 10:01:00,-1,1",
    "bob,x,2024-01-01 10:00:00,1,1",
    "bob,y,2024-01-02 10:00:00,1,1",
    "torn,ann",
]


def key_of(secret: str, user: str) -> str:
    return hmac.new(secret.encode(), user.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def shop(tmp_path, make_settings, make_job):
    """``shop()``: settings and lake after ingest, clean and sessionize."""

    def make(*overrides, **sections):
        folder = tmp_path / "own"
        write_csv(folder / "a.csv", *sections.pop("lines", LINES))
        source = {"path": str(folder / "a.csv"), **sections.pop("source", {})}
        clean_options = {"max_quarantine_share": 1.0, **sections.pop("clean", {})}
        dataset = write_dataset(folder, source, clean=clean_options, **sections)
        settings = make_settings(*overrides, dataset=dataset)
        for job in (ingest, clean, sessionize):
            made = make_job(job.__name__, settings)
            job(made)
        return settings, made.lake

    return make


@pytest.mark.parametrize("secret", ["short", "exactly-64-" + "x" * 53, "long" * 40])
def test_user_key_is_hmac_sha256(spark, secret):
    frame = spark.createDataFrame([("ann",), ("Zoë",), (None,)], "u string")
    keyed = UserKeys(secret.encode()).joined(frame, "u").collect()
    assert [row["user_key"] for row in keyed] == [
        key_of(secret, "ann"),
        key_of(secret, "Zoë"),
        None,
    ]
    assert keyed[0].asDict().keys() == {"u", "user_key"}


def test_the_secret_stands_in_no_plan(spark):
    secret = b"a very secret text"
    plan = UserKeys(secret).joined(spark.createDataFrame([("a",)], "u string"), "u")
    text = plan._jdf.queryExecution().toString()
    inner, outer = padded(secret)
    for part in (secret, inner, outer):
        assert part.decode("latin-1") not in text
        assert part.hex() not in text.lower()
        assert part[:8].hex() not in text.lower()


def test_outside_local_a_missing_secret_is_an_error(monkeypatch):
    monkeypatch.delenv("TRUELIFT_USER_KEY", raising=False)
    assert load_secret(PrivacyOptions(), "local") is None
    for env in ("staging", "prod"):
        with pytest.raises(ConfigError, match="TRUELIFT_USER_KEY is not set"):
            load_secret(PrivacyOptions(), env)
    with pytest.raises(ConfigError, match="TRUELIFT_USER_KEY is not set"):
        load_secret(PrivacyOptions(required=True), "local")
    monkeypatch.setenv("TRUELIFT_USER_KEY", "s")
    assert load_secret(PrivacyOptions(), "prod") == b"s"


def test_the_name_of_a_secret_tells_two_apart_and_is_no_part_of_it():
    assert len({secret_name(s) for s in (None, b"a", b"b")}) == 3
    assert b"abcdefgh".hex()[:6] not in secret_name(b"abcdefgh")


def test_another_secret_keys_everything_anew(shop, make_job, monkeypatch):
    monkeypatch.setenv("TRUELIFT_USER_KEY", "one")
    settings, lake = shop()
    keys = {row[0] for row in rows_of(lake.read("silver.events"), "user_key")}
    assert keys == {key_of("one", "ann"), key_of("one", "bob")}
    monkeypatch.setenv("TRUELIFT_USER_KEY", "two")
    for job in (clean, sessionize):
        job(make_job(job.__name__, settings, lake))
    for table in ("silver.events", "silver.sessions"):
        found = {row[0] for row in rows_of(lake.read(table), "user_key")}
        assert found == {key_of("two", "ann"), key_of("two", "bob")}, table


def test_only_listed_columns_pass_into_the_context(shop):
    _, lake = shop(source={"mapping": {"user": "u", "item": "i", "time": "t", "context": ["v"]}})
    contexts = [row[0] for row in rows_of(lake.read("silver.events"), "context")]
    assert all(set(context) == {"v"} for context in contexts)


def test_aliases_become_their_person_along_chains(spark):
    pairs = spark.createDataFrame(
        [("cookie", "mail"), ("mail", "ann"), ("ann", "ann"), ("x", None)],
        "alias string, person string",
    )
    assert rows_of(resolved(pairs), "alias", "person") == [("cookie", "ann"), ("mail", "ann")]


def test_an_alias_of_two_persons_and_a_circle_are_refused(spark):
    ddl = "alias string, person string"
    with pytest.raises(DataError, match="alias 'c' belongs to 2 persons"):
        resolved(spark.createDataFrame([("c", "a"), ("c", "b")], ddl))
    with pytest.raises(DataError, match="round in a circle"):
        resolved(spark.createDataFrame([("a", "b"), ("b", "a")], ddl))


def test_persons_are_stitched_in_old_events_too(tmp_path, shop, make_job):
    settings, lake = shop()
    path = write_csv(tmp_path / "who.csv", "bob,ann", header="alias,person")
    from truelift.settings import ReferenceOptions

    source = replace(settings.source, identities=ReferenceOptions(path))
    settings = replace(settings, source=source)
    for job in (ingest, clean, sessionize):
        job(make_job(job.__name__, settings, lake))
    users = {row[0] for row in rows_of(lake.read("silver.events"), "user_key")}
    assert users == {"ann"}
    assert sum(row[0] for row in rows_of(lake.read("silver.sessions"), "events")) == 3


def test_a_forgotten_user_is_in_no_table_and_no_file(shop, make_job):
    settings, lake = shop()
    with tool_job("forget_user", settings) as job:
        done = forget_user(job, "ann")
    # Four rows of bronze (the torn one names her), one kept, three removed.
    assert done.rows["bronze.events"] == 4
    assert (done.rows["silver.events"], done.rows["silver.quarantine"]) == (1, 3)
    assert done.files_scanned > 0 and "none of them holds the person" in repr(done)
    assert {row[0] for row in rows_of(lake.read("silver.events"), "user_key")} == {"bob"}
    assert {row[0] for row in rows_of(lake.read("silver.sessions"), "user_key")} == {"bob"}
    # Cleaning goes on: what is left still adds up.
    write_csv(lake_folder(settings) / "b.csv", "cid,x,2024-01-03 10:00:00,1,1")
    settings = replace(
        settings, source=replace(settings.source, path=f"{lake_folder(settings)}/*.csv")
    )
    for step in (ingest, clean, sessionize):
        step(make_job(step.__name__, settings, lake))
    assert {row[0] for row in rows_of(lake.read("silver.events"), "user_key")} == {"bob", "cid"}


def lake_folder(settings):
    from pathlib import Path

    return Path(settings.source.path).parent


def test_a_user_whom_nobody_knows_is_named(shop):
    settings, _ = shop()
    with (
        pytest.raises(DataError, match=r"No table .* knows the user 'zed'"),
        tool_job("forget_user", settings) as job,
    ):
        forget_user(job, "zed")


def test_nobody_is_forgotten_in_tables_where_they_cannot_be_found(shop, make_job, monkeypatch):
    monkeypatch.setenv("TRUELIFT_USER_KEY", "one")
    settings, lake = shop()
    monkeypatch.setenv("TRUELIFT_USER_KEY", "two")
    with (
        pytest.raises(TableError, match=r"silver\.events, .*run clean, sessionize first"),
        tool_job("forget_user", settings) as job,
    ):
        forget_user(job, "ann")
    monkeypatch.setenv("TRUELIFT_USER_KEY", "one")
    write_csv(lake_folder(settings) / "b.csv", "cid,x,2024-01-03 10:00:00,1,1")
    path = f"{lake_folder(settings)}/*.csv"
    settings = replace(settings, source=replace(settings.source, path=path))
    ingest(make_job("ingest", settings, lake))
    with (
        pytest.raises(TableError, match=r"bronze\.events has rows that are not cleaned yet"),
        tool_job("forget_user", settings) as job,
    ):
        forget_user(job, "ann")
    assert lake.read("bronze.events").filter("u = 'ann'").count() == 3
