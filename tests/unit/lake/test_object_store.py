"""S3A settings that lose commits are refused on a lake, wherever they are written."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from truelift.config import load_settings
from truelift.errors import ConfigError
from truelift.lake import Lake
from truelift.lake.object_store import check_session, check_settings

FLAGS = "fs.s3a.performance.flags"


@pytest.mark.parametrize("value", ["create", "*", "mkdir,create", " Create , delete", "CREATE"])
@pytest.mark.parametrize(
    "name",
    [FLAGS, f"spark.hadoop.{FLAGS}", "spark.hadoop.fs.s3a.bucket.shop.performance.flags"],
)
@pytest.mark.parametrize("root", ["s3a://shop/lake", "s3://shop/lake"])
def test_a_flag_that_includes_create_is_refused(root, name, value):
    with pytest.raises(ConfigError, match=r"performance\.flags: found .*expected no 'create'"):
        check_settings(root, {name: value})


def test_the_older_spelling_is_refused_too():
    with pytest.raises(ConfigError, match=r"create\.performance"):
        check_settings("s3a://shop/lake", {"spark.hadoop.fs.s3a.create.performance": "true"})
    check_settings("s3a://shop/lake", {"spark.hadoop.fs.s3a.create.performance": "false"})


@pytest.mark.parametrize(
    ("root", "conf"),
    [
        ("s3a://shop/lake", {FLAGS: "mkdir,delete"}),
        ("s3a://shop/lake", {FLAGS: ""}),
        ("s3a://shop/lake", {"fs.s3a.bucket.other.performance.flags": "create"}),
        ("s3a://shop/lake", {"fs.s3a.endpoint": "create"}),
        ("/data/lake", {FLAGS: "create"}),
        ("abfss://shop/lake", {FLAGS: "*"}),
    ],
)
def test_what_does_not_touch_the_lakes_commits_is_allowed(root, conf):
    check_settings(root, conf)


def test_opening_a_lake_refuses_before_any_spark_starts():
    settings = load_settings(lake="s3a://shop/lake")
    conf = {f"spark.hadoop.{FLAGS}": "*"}
    spark = dataclasses.replace(settings.spark, conf=conf)
    with pytest.raises(ConfigError, match="lake s3a://shop/lake"):
        Lake.open(dataclasses.replace(settings, spark=spark))


def session(conf, hadoop):
    chosen = SimpleNamespace(getValByRegex=lambda pattern: hadoop)
    java = SimpleNamespace(hadoopConfiguration=lambda: chosen)
    return SimpleNamespace(
        conf=SimpleNamespace(getAll=conf), sparkContext=SimpleNamespace(_jsc=java)
    )


def test_what_a_clusters_own_files_say_is_refused_too():
    with pytest.raises(ConfigError, match="expected no 'create'"):
        check_session("s3a://shop/lake", session({}, {FLAGS: "create"}))
    with pytest.raises(ConfigError, match="expected no 'create'"):
        check_session("s3a://shop/lake", session({FLAGS: "*"}, {}))
    check_session("s3a://shop/lake", session({"a": "b"}, {FLAGS: "delete"}))
    check_session("/data/lake", None)
