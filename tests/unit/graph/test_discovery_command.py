"""``truelift discover``: what it leaves, and what ends with 2 and one message."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml

from truelift.cli import main

USERS = 400


def table(users: int = USERS) -> pa.Table:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(users), 3)
    age = rng.normal(40, 10, len(who)).round(2)
    mailed = rng.random(len(who)) < 1 / (1 + np.exp(-(age - 40) / 5))
    sales = 0.9 * mailed + rng.normal(size=len(who))
    return pa.table({"user": who, "age": age, "mailed": mailed, "sales": sales.round(3)})


@pytest.fixture
def orders(tmp_path):
    pacsv.write_csv(table(), tmp_path / "orders.csv")
    return str(tmp_path / "orders.csv")


def test_a_page_lines_a_graph_and_edges_are_left(orders, tmp_path, capsys):
    out = tmp_path / "found"
    words = ["--cluster", "user", "--tiers", "age < mailed < sales", "--bootstraps", "6"]
    assert main(["discover", "--table", orders, "--out", str(out), *words]) == 0
    said = capsys.readouterr().out
    assert "age -> mailed" in said and "are left for estimation" in said
    assert (out / "graph.txt").read_text().splitlines() == ["age -> mailed", "mailed -> sales"]
    graph = yaml.safe_load((out / "learned.graph.yaml").read_text())
    assert graph["arrows"] == ["age -> mailed", "mailed -> sales"]
    assert graph["nodes"]["mailed"] == {"tier": "tier_2"}
    edges = pq.read_table(out / "edges.parquet").to_pylist()
    assert [e["frequency"] for e in edges if e["line"]] == [1.0, 1.0]
    found = json.loads((out / "discovery.json").read_text())
    assert [e["chance"] for e in edges] == [e["chance"] for e in found["edges"]]
    assert all(e["chance"] is not None for e in edges)
    assert len(found["left"]) == 40 and found["graphs"] == 6
    page = (out / "index.html").read_text()
    assert "<svg" in page and "not one graph" in page


def test_open_edges_are_no_arrows_of_the_file(orders, tmp_path):
    out = tmp_path / "found"
    words = ["--columns", "age,mailed", "--cluster", "user", "--bootstraps", "0"]
    assert main(["discover", "--table", orders, "--out", str(out), *words]) == 0
    text = (out / "learned.graph.yaml").read_text()
    assert yaml.safe_load(text)["arrows"] == [] and '#  - "age -- mailed"' in text


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ({}, ["--tiers", "age < maild"], "no column 'maild' (--tiers)"),
        ({}, ["--tiers", "age << sales"], "expected names of columns between the signs"),
        ({}, ["--tiers", "age < age"], "found age more than once"),
        ({}, ["--tiers", "age < sales", "--columns", "age,sales,mailed"], "mailed has no place"),
        ({}, ["--cluster", "nobody"], "no column 'nobody' (--cluster)"),
        ({}, ["--cluster", "user", "--columns", "user,age"], "among the columns of the graph"),
        ({}, ["--columns", "age"], "expected at least two"),
        ({}, ["--buckets", "12", "--cluster", "user"], "expected at least 10"),
        ({}, ["--alpha", "2"], "--alpha: found 2.0"),
        ({"age": [1.0] * 1200}, ["--cluster", "user"], "'age' has the same value in every row"),
        ({"user": [7] * 1200}, ["--cluster", "user"], "clusters of 'user' in 1 of 80 buckets"),
        ({"years": "age"}, ["--cluster", "user"], "age and years say the same in every row"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_ends_with_2_and_one_message(
    change, words, said, tmp_path, capsys
):
    rows = table()
    for name, values in change.items():
        column = rows[values] if isinstance(values, str) else pa.array(values)
        rows = rows.drop([name]) if name in rows.column_names else rows
        rows = rows.append_column(name, column)
    pq.write_table(rows, tmp_path / "t.parquet")
    out = ["--out", str(tmp_path / "out")]
    assert main(["discover", "--table", str(tmp_path / "t.parquet"), *out, *words]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
