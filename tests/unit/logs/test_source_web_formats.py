"""Logs of web servers in other formats: W3C extended, load balancers, nginx' and Caddy's JSON."""

from __future__ import annotations

import json

import pytest

from truelift.errors import SourceError
from truelift.logs.sources.access_log import visitor
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.logs.sources.web_columns import moment
from truelift.settings import MappingOptions, SourceOptions

WEB = MappingOptions("visitor", "path", "time")


@pytest.fixture
def rows(tmp_path):
    """``rows(format, text)``: every row of a log."""

    def run(form, text, mapping=WEB):
        path = tmp_path / "log"
        path.write_text(text)
        units = plan_streams(SourceOptions(form, str(path), mapping=mapping))["events"]
        return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]

    return run


def shown(row, *names):
    return tuple(row[name] for name in names)


IIS = """#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2024-03-05 10:00:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status time-taken
2024-03-05 10:00:01 10.0.0.4 GET /shop/p1 q=1&r=2 443 - 192.0.2.7 Mozilla/5.0+(Windows+NT+10.0) - 200 31
2024-03-05 10:00:02 10.0.0.4 GET /shop/p2 - 443 ann 192.0.2.8 curl/8.0 https://x.example/ 304
#Fields: date time c-ip cs-method cs-uri-stem
2024-03-05 10:00:03 192.0.2.9 POST /cart
"""


def test_iis_names_its_fields_and_may_change_them(rows):
    first, corrupt, last = rows("w3c", IIS)
    assert shown(first, "host", "time", "method", "path", "query", "status", "user") == (
        "192.0.2.7", "2024-03-05T10:00:01Z", "GET", "/shop/p1", "q=1&r=2", "200", None,
    )  # fmt: skip
    assert first["user_agent"] == "Mozilla/5.0 (Windows NT 10.0)"
    assert first["visitor"] == visitor("192.0.2.7", "Mozilla/5.0 (Windows NT 10.0)")
    assert shown(first, "time-taken", "c-ip", "s-port") == ("31", "192.0.2.7", "443")
    assert corrupt[CORRUPT] == IIS.splitlines()[5]  # a value too few
    assert shown(last, "host", "path", "method", "time-taken") == (
        "192.0.2.9",
        "/cart",
        "POST",
        None,
    )
    assert [row["source_row"] for row in (first, corrupt, last)] == [4, 5, 7]


@pytest.mark.parametrize(("field", "lacks"), [("time", "date"), ("date", "time")])
def test_w3c_requests_without_a_date_and_a_time_are_refused(rows, field, lacks):
    text = f"#Date: 2024-03-05 10:00:00\n#Fields: {field} c-ip cs-uri-stem\nx 192.0.2.7 /p\n"
    with pytest.raises(SourceError, match=f"no field of the {lacks} of a request"):
        rows("w3c", text)


def test_cloudfront_parts_by_tabs_and_encodes_agents(rows):
    fields = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status " \
             "cs(Referer) cs(User-Agent) cs-uri-query x-host-header x-forwarded-for"  # fmt: skip
    values = ["2024-03-05", "10:00:01", "FRA2", "512", "198.51.100.9", "GET", "d1.cloudfront.net", "/p",
              "200", "-", "Mozilla/5.0%20(X11)", "-", "shop.example", "192.0.2.7,%2010.0.0.1"]  # fmt: skip
    (row,) = rows("w3c", f"#Version: 1.0\n#Fields: {fields}\n" + "\t".join(values) + "\n")
    assert shown(row, "host", "user_agent", "virtual_host", "bytes", "x-edge-location") == (
        "192.0.2.7", "Mozilla/5.0 (X11)", "shop.example", "512", "FRA2",
    )  # fmt: skip
    assert row["time"] == "2024-03-05T10:00:01Z"


def test_a_field_that_is_named_late_is_not_lost(rows):
    text = IIS.replace("#Fields: date time c-ip cs-method cs-uri-stem\n", "").splitlines()
    many = [*text[:4], *[text[4]] * 1000, "#Fields: date time c-ip cs-uri-stem cs-new",
            "2024-03-05 10:00:03 192.0.2.9 /cart x1"]  # fmt: skip
    last = rows("w3c", "\n".join(many))[-1]
    assert (last["host"], json.loads(last["_other"])) == ("192.0.2.9", {"cs-new": "x1"})


ALB = (
    "https 2024-03-05T10:00:01.186641Z app/shop/50dc6c495c0c9188 192.0.2.7:51234 10.0.0.1:80 0.086 "
    '0.048 0.037 200 200 33 366 "GET https://shop.example:443/p1?q=1 HTTP/2.0" "curl/7.46.0" '
    "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:tg/my/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "shop.example" "arn:aws:acm:c/1" 1 '
    '2024-03-05T10:00:01.100000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1 more'
)
CLASSIC = (
    "2024-03-05T10:00:01.186641Z my-elb [2001:db8::7]:51234 10.0.0.1:80 0.1 0.1 0.1 200 200 0 29 "
    '"GET http://www.shop.example:80/ HTTP/1.1" "curl/7.38.0" - -'
)


def test_a_load_balancer_names_the_client_without_its_port(rows):
    first, classic, broken, corrupt = rows(
        "alb", "\n".join([ALB, CLASSIC, ALB.replace("GET https://shop.example:443/p1?q=1 HTTP/2.0",
                                                    "- http://shop.example:80- -"), "nonsense"])
    )  # fmt: skip
    assert shown(first, "host", "time", "method", "path", "query", "protocol", "status", "bytes") == (
        "192.0.2.7", "2024-03-05T10:00:01.186641Z", "GET", "/p1", "q=1", "HTTP/2.0", "200", "366",
    )  # fmt: skip
    assert shown(first, "user_agent", "virtual_host", "target", "actions_executed", "error_reason") == (
        "curl/7.46.0", "shop.example", "10.0.0.1:80", "authenticate,forward", None,
    )  # fmt: skip
    assert json.loads(first["_other"]) == {"values": "more"}
    assert shown(classic, "host", "path", "virtual_host", "elb") == (
        "2001:db8::7", "/", "www.shop.example:80", "my-elb",
    )  # fmt: skip
    assert shown(broken, "method", "path", "host") == (None, None, "192.0.2.7")
    assert corrupt[CORRUPT] == "nonsense"


def test_nginx_json_goes_by_the_names_of_its_variables(rows):
    lines = [
        {"time_iso8601": "2024-03-05T10:00:01+01:00", "remote_addr": "10.0.0.1",
         "http_x_forwarded_for": "192.0.2.7, 10.0.0.9", "request": "GET /p1?q=1 HTTP/1.1",
         "status": 200, "body_bytes_sent": "512", "http_user_agent": "UA", "http_referrer": "-",
         "upstream_time": "0.01", "remote_user": "-", "host": "shop.example"},
        {"msec": "1709632801.250", "remote_addr": "192.0.2.8", "http_x_forwarded_for": "",
         "request_method": "POST", "request_uri": "/cart?x", "status": "201"},
    ]  # fmt: skip
    first, second, other = rows(
        "nginx_json", "\n".join(map(json.dumps, [*lines, {"level": "warn"}]))
    )
    assert shown(first, "host", "time", "method", "path", "query", "user", "status", "bytes") == (
        "192.0.2.7", "2024-03-05T10:00:01+01:00", "GET", "/p1", "q=1", None, "200", "512",
    )  # fmt: skip
    assert shown(first, "virtual_host", "upstream_time", "remote_addr", "_other") == (
        "shop.example", "0.01", "10.0.0.1", None,
    )  # fmt: skip
    assert shown(second, "host", "time", "method", "path", "query") == (
        "192.0.2.8", "2024-03-05T10:00:01.250000Z", "POST", "/cart", "x",
    )  # fmt: skip
    assert json.loads(other[CORRUPT]) == {"level": "warn"}


@pytest.mark.parametrize(
    "forwarded", ["http_x_forwarded_for", "x-forwarded-for", "forwarded_for", "x_real_ip"]
)
def test_nginx_json_knows_usual_names_of_client_and_agent(rows, forwarded):
    line = {
        "time_iso8601": "2024-03-05T10:00:00Z",
        "client_addr": "10.0.0.1",
        "uri": "/p",
        "ua": "UA",
    }
    (row,) = rows("nginx_json", json.dumps({**line, forwarded: "192.0.2.7, 10.0.0.9"}) + "\n")
    assert shown(row, "host", "user_agent") == ("192.0.2.7", "UA")


CADDY = {
    "level": "info", "ts": 1709632801.5241024, "logger": "http.log.access", "msg": "handled request",
    "request": {
        "remote_ip": "10.0.0.1", "remote_port": "41342", "client_ip": "192.0.2.7", "proto": "HTTP/2.0",
        "method": "GET", "host": "shop.example", "uri": "/p1?q=1",
        "headers": {"User-Agent": ["curl/7.82.0"], "Referer": ["https://x.example/"]},
    },
    "user_id": "", "duration": 0.0009, "size": 10900, "status": 200,
}  # fmt: skip


def test_caddy_names_client_page_and_agent(rows):
    old = json.loads(json.dumps(CADDY))
    del old["request"]["client_ip"]
    old["request"]["headers"]["X-Forwarded-For"] = ["192.0.2.9, 10.0.0.3"]
    first, second = rows("caddy", "\n".join(map(json.dumps, [CADDY, old])))
    assert shown(first, "host", "time", "method", "path", "query", "status", "bytes", "user") == (
        "192.0.2.7", "2024-03-05T10:00:01.524102Z", "GET", "/p1", "q=1", "200", "10900", None,
    )  # fmt: skip
    assert shown(first, "user_agent", "referrer", "virtual_host", "duration", "request_remote_ip") == (
        "curl/7.82.0", "https://x.example/", "shop.example", "0.0009", "10.0.0.1",
    )  # fmt: skip
    assert second["host"] == "192.0.2.9"


def test_a_key_of_a_json_log_can_be_mapped_too(rows):
    mapping = MappingOptions("request.remote_ip", "path", "time")
    (row,) = rows("caddy", json.dumps(CADDY), mapping)
    assert row["request_remote_ip"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("form", "message"),
    [("w3c", r"names the fields.*access log: source\.format: access_log"),
     ("alb", r"is no log of a load balancer.*access_log"),
     ("caddy", r"holds no JSON object"), ("nginx_json", r"holds no JSON object")],
)  # fmt: skip
def test_a_log_of_another_format_is_named(rows, form, message):
    with pytest.raises(SourceError, match=message):
        rows(form, 'h - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 1\n')


@pytest.mark.parametrize("form", ["caddy", "nginx_json"])
def test_json_without_a_request_is_named_with_its_keys(rows, form):
    with pytest.raises(SourceError, match=r"Keys found: user, page\..*source\.format: jsonl"):
        rows(form, '{"user": 1, "page": 2}\n')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1709632801", "2024-03-05T10:00:01Z"),
        ("1709632801.25", "2024-03-05T10:00:01.250000Z"),
        ("1709632801250", "2024-03-05T10:00:01.250000Z"),
        ("1709632801250.5", "2024-03-05T10:00:01.250500Z"),
        ("1709632801250001", "2024-03-05T10:00:01.250001Z"),
        ("1709632801250001999", "2024-03-05T10:00:01.250001Z"),
        ("05/Mar/2024:10:00:01 +0100", "2024-03-05T10:00:01+01:00"),
        ("2024/03/05 10:00:01", "2024-03-05 10:00:01"),
        ("2024-03-05T10:00:01Z", "2024-03-05T10:00:01Z"),
        ("17", "17"),
    ],
)
def test_web_servers_times_become_iso(text, expected):
    assert moment(text) == expected


def event(*params):
    return {"user": "u", "item": "i", "time": 1, "event_params": list(params)}


def test_values_in_a_list_of_keys_and_values_are_columns(rows):
    page = {"key": "page", "value": {"string_value": "/a", "int_value": None}}
    count = {"key": "n", "value": {"int_value": "3"}}
    plain = {"key": "tag", "value": "x"}
    since = {"key": "plan", "value": {"string_value": "pro", "set_timestamp_micros": "17"}}
    mapping = MappingOptions("user", "event_params.page", "time")
    text = "\n".join(map(json.dumps, [event(page, count, plain, since), event(count, page)]))
    first, second = rows("jsonl", text, mapping)
    names = ("event_params_page", "event_params_n", "event_params_tag", "event_params_plan",
             "event_params_plan_set_timestamp_micros")  # fmt: skip
    assert shown(first, *names) == ("/a", "3", "x", "pro", "17")
    assert shown(second, *names) == ("/a", "3", None, None, None)


@pytest.mark.parametrize(
    "listed",
    [[{"key": "a", "value": 1}, {"key": "a", "value": 2}], [{"key": "a", "value": 1, "more": 2}],
     [{"key": 1, "value": 2}], [{"value": 1}], [], ["key", "value"]],
)  # fmt: skip
def test_another_list_stays_json(rows, listed):
    (row,) = rows("jsonl", json.dumps({"user": 1, "item": 2, "time": 3, "tags": listed}),
                  MappingOptions("user", "item", "time"))  # fmt: skip
    assert json.loads(row["tags"]) == listed
