"""The columns that the configuration names, and the data sets that ship with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from truelift.config import load_settings
from truelift.errors import ConfigError, SourceError
from truelift.logs.sources.columns import held_name
from truelift.logs.sources.mapping import context_columns, mapped_columns
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import FORMATS, format_of, read
from truelift.logs.unit_reader import RowsHere, reader_of
from truelift.settings import FORMATS as ACCEPTED
from truelift.settings import MappingOptions, SourceOptions
from truelift.settings.layer_files import conf_directory
from truelift.typed import from_plain

BRONZE = ("u", "i", "t", "Price", "my_page", "_other", "_corrupt", "source_file", "source_row",
          "file_time", "batch_id")  # fmt: skip

# A line or two of each data set that ships as a mapping alone.
SAMPLES = {
    "access_log": 'h - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "agent"\n',
    "nasa_http": "host\tlogname\ttime\tmethod\turl\tresponse\tbytes\n"
    "h\t-\t804571201\tGET\t/a\t200\t6245\t\t\n",
    "otto": '{"session": 0, "events": [{"aid": 1, "ts": 1659304800025, "type": "clicks"}]}\n',
    "iis": "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status sc-bytes "
    "cs(Referer) cs(User-Agent) cs-host\n2024-03-05 10:00:01 192.0.2.7 GET /p - 200 1 - UA h\n",
    "cloudfront": "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status sc-bytes "
    "cs(Referer) cs(User-Agent) x-host-header\n2024-03-05\t10:00:01\t192.0.2.7\tGET\t/p\t-\t200\t1\t-\tUA\th\n",
    "alb": 'http 2024-03-05T10:00:01.1Z app/a/1 192.0.2.7:1 10.0.0.1:80 0 0 0 200 200 3 6 '
    '"GET http://h:80/p HTTP/1.1" "UA" - -\n',
    "nginx_json": '{"time_iso8601": "2024-03-05T10:00:01Z", "remote_addr": "192.0.2.7", '
    '"request": "GET /p HTTP/1.1", "status": "200"}\n',
    "caddy": '{"ts": 1709632801.5, "status": 200, "request": {"remote_ip": "192.0.2.7", '
    '"method": "GET", "uri": "/p"}}\n',
    "ga4": '{"event_timestamp": "1709632801000000", "event_name": "page_view", "user_pseudo_id": "1.2", '
    '"event_value_in_usd": null, "device": {"category": "mobile"}, "geo": {"country": "CH"}, '
    '"traffic_source": {"medium": "a", "source": "b"}, "event_params": ['
    '{"key": "page_location", "value": {"string_value": "https://h/p"}}, '
    '{"key": "page_title", "value": {"string_value": "P"}}, '
    '{"key": "page_referrer", "value": {"string_value": "https://x/"}}, '
    '{"key": "ga_session_id", "value": {"int_value": "17"}}]}\n',
    "snowplow": "\t".join(
        {2: "2024-03-05 10:00:03", 3: "2024-03-05 10:00:02", 15: "d1", 30: '"Sale', 35: "/p",
         124: "2024-03-05 10:00:01.250", 126: "page_view"}.get(n, "") for n in range(131)) + "\n",
    **dict.fromkeys(
        ("segment", "rudderstack"),
        '{"anonymousId": "a", "userId": null, "type": "page", "event": null, "messageId": "m", '
        '"timestamp": "2024-03-05T10:00:01.250Z", "receivedAt": "2024-03-05T10:00:02Z", "context": '
        '{"page": {"path": "/p", "url": "u", "referrer": ""}, "userAgent": "UA", "locale": "de", '
        '"campaign": {"name": "c"}}}\n',
    ),
    "retail_rocket": "timestamp,visitorid,event,itemid,transactionid\n"
    "1433221332117,257597,view,355908,\n",
    "open_bandit": ",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
    "0,2019-11-24 00:00:34.762830+00:00,14,3,0,0.0125,81ce\n",
    "online_retail": {"InvoiceNo": ["1"], "StockCode": ["a"], "Description": ["x"],
                      "Quantity": [-6.0], "InvoiceDate": ["2010-12-01 08:26:00"],
                      "UnitPrice": [2.55], "CustomerID": [17850.0], "Country": ["UK"]},
    "wikipedia_reader": {"uuid": ["47dc"], "timestamp": ["2014-01-07 00:00:15"], "url": ["x"]},
}  # fmt: skip


def written(folder: Path, sample: str | dict) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "sample"
    if isinstance(sample, str):
        path.write_text(sample)
    else:
        pq.write_table(pa.table(sample), path)
    return path


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_data_set_that_ships_finds_its_columns(tmp_path, make_settings, name):
    path = written(tmp_path, SAMPLES[name])
    source = make_settings(f"source.path={path}", dataset=name).source
    (unit,) = plan_streams(source)["events"]
    (row,) = (row for batch in read(unit) for row in batch.to_pylist())
    mapping = source.mapping
    assert row["_corrupt"] is None
    named = (held_name(name, row) for name in (mapping.user, mapping.item, mapping.time))
    assert all(row[column] for column in named)


def test_every_data_set_that_ships_resolves():
    for path in (conf_directory() / "datasets").glob("*.yaml"):
        assert load_settings("local", path.stem).source.format in FORMATS


def test_a_data_set_without_a_path_says_how_to_give_one(make_settings):
    with pytest.raises(SourceError, match=r"--set source\.path=\.\.\."):
        plan_streams(make_settings(dataset="otto").source)


def test_the_formats_that_settings_accept_are_those_that_are_read():
    assert set(ACCEPTED.own) == set(FORMATS.own)
    assert [row.name for row in FORMATS] == list(FORMATS.names)


@pytest.mark.parametrize(
    ("uri", "form"),
    [("a/b.JSONL.gz", "jsonl"), ("x.tsv.zst", "csv"), ("x.parquet", "parquet"),
     ("access.log", "access_log"), ("x.data", "otto"), ("", "otto")],
)  # fmt: skip
def test_a_format_is_told_by_the_name_or_by_default(uri, form):
    assert format_of(uri, "otto") == form


def test_every_mapped_field_has_its_key():
    mapping = MappingOptions("u", "i", "t", ingest_time="r", user_agent="a", campaign="c",
                             context=("x",))  # fmt: skip
    assert mapped_columns(mapping) == {
        "source.mapping.user": "u",
        "source.mapping.item": "i",
        "source.mapping.time": "t",
        "source.mapping.ingest_time": "r",
        "source.mapping.user_agent": "a",
        "source.mapping.campaign": "c",
        "source.mapping.context[x]": "x",
    }


def test_a_listed_context_keeps_its_order():
    mapping = MappingOptions("u", "i", "t", context=("my page", "Price"))
    assert context_columns(mapping, BRONZE) == ("my_page", "Price")


def test_a_star_as_context_is_everything_that_no_field_takes():
    mapping = MappingOptions("u", "i", "t", value="price", context="*")
    assert context_columns(mapping, BRONZE) == ("my_page",)
    assert "source.mapping.context[*]" not in mapped_columns(mapping)


@pytest.mark.parametrize(
    ("given", "expected"), [("*", ("*",)), (["a", "b"], ("a", "b")), ([], ()), ("a", ("a",))]
)
def test_a_context_is_a_list_or_a_star(given, expected):
    assert from_plain(MappingOptions, {"context": given}).context == expected


def test_a_star_stands_alone():
    with pytest.raises(ConfigError, match=r"source\.mapping\.context: found"):
        MappingOptions(context=("a", "*"))


def csv_source(folder, *headers, **mapping):
    for number, header in enumerate(headers):
        (folder / f"{number}.csv").write_text(f"{header}\nann,x,2024-01-01\n")
    named = {"user": "user_id", "item": "item", "time": "time", **mapping}
    return SourceOptions("csv", str(folder / "*.csv"), mapping=MappingOptions(**named))


def test_case_does_not_count_where_one_column_is_meant(tmp_path):
    source = csv_source(tmp_path, "User_ID,Item,TIME", "user_id,item,time")
    reader = reader_of(plan_streams(source)["events"], (), "user_id", 1.0)
    assert reader.columns == ("User_ID", "Item", "TIME")
    users = [row["User_ID"] for batch in RowsHere(reader).batches() for row in batch.to_pylist()]
    assert users == ["ann", "ann"]


def test_a_sample_finds_the_user_in_any_case(tmp_path):
    source = csv_source(tmp_path, "User_ID,item,time")
    kept = {}
    for share in (0.01, 0.999):
        here = RowsHere(reader_of(plan_streams(source)["events"], (), "user_id", share))
        kept[share] = sum(batch.num_rows for batch in here.batches())
    assert kept == {0.01: 0, 0.999: 1}


@pytest.mark.parametrize("header", ["User_ID,user_id,item,time", "user_id,user_id,item,time"])
def test_a_name_that_several_columns_may_mean_is_refused(tmp_path, header):
    with pytest.raises(SourceError, match=r"2 that may be meant: '[Uu]ser_[iI][dD]', 'user_id'"):
        plan_streams(csv_source(tmp_path, header))


@pytest.mark.parametrize(
    ("column", "held", "name"),
    [("USER", ("user", "item"), "user"), ("user.id", ("user_id",), "user_id"),
     ("user.id", ("user_id", "user__id"), "user__id"), ("user_id", ("user_id", "user__id"), "user_id"),
     ("new", ("user",), "new")],
)  # fmt: skip
def test_a_configured_name_means_a_column_that_is_held(column, held, name):
    assert held_name(column, held) == name
