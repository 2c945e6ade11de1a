"""Access logs: a line in the common or the combined format, as columns."""

from __future__ import annotations

import pytest

from truelift.errors import SourceError
from truelift.logs.sources.access_log import COLUMNS, iso_time, parse, visitor
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

COMMON = 'h.com - ann [01/Jul/1995:00:00:09 -0400] "GET /a/b.html?q=1&r=2 HTTP/1.0" 200 6245'
COMBINED = f'{COMMON} "http://x.org/" "Mozilla/5.0 (\\"X\\")"'


def parsed(line):
    values = parse(line)
    return None if values is None else dict(zip((*COLUMNS, "rest"), values, strict=True))


def rows(path, **mapping):
    options = MappingOptions(**{"user": "visitor", "item": "path", "time": "time", **mapping})
    source = SourceOptions(format="access_log", path=str(path), mapping=options)
    units = plan_streams(source)["events"]
    return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]


def test_the_combined_format_has_every_column():
    assert parsed(COMBINED) == {
        "host": "h.com",
        "ident": None,
        "user": "ann",
        "time": "1995-07-01T00:00:09-04:00",
        "method": "GET",
        "path": "/a/b.html",
        "query": "q=1&r=2",
        "protocol": "HTTP/1.0",
        "status": "200",
        "bytes": "6245",
        "referrer": "http://x.org/",
        "user_agent": 'Mozilla/5.0 (\\"X\\")',
        "visitor": visitor("h.com", 'Mozilla/5.0 (\\"X\\")'),
        "virtual_host": None,
        "rest": None,
    }


def test_the_common_format_lacks_referrer_and_user_agent():
    values = parsed(COMMON)
    assert (values["referrer"], values["user_agent"]) == (None, None)
    assert values["visitor"] == visitor("h.com", None)


def test_a_dash_is_a_missing_value():
    values = parsed('h - - [01/Jul/1995:00:00:09 -0400] "GET / HTTP/1.0" 304 - "-" "-"')
    missing = ("ident", "user", "bytes", "referrer", "user_agent")
    assert {values[name] for name in missing} == {None}


def test_what_follows_the_known_fields_is_kept():
    assert parsed(f'{COMBINED} 0.003 "10.0.0.1"')["rest"] == '0.003 "10.0.0.1"'


@pytest.mark.parametrize("cut", ['"Mozilla/5.0 (compatible; Googl', '"', '"Mozilla/5.0 (\\"X'])
def test_a_user_agent_that_is_cut_off_is_kept_as_far_as_it_goes(cut):
    values = parsed(f'{COMMON} "http://x.org/" {cut}')
    assert values["referrer"] == "http://x.org/"
    assert (values["user_agent"] or "", values["rest"]) == (cut[1:], None)


@pytest.mark.parametrize(
    ("request_", "method", "path", "protocol"),
    [
        ("GET /", "GET", "/", None),
        ("POST /a b c HTTP/1.1", "POST", "/a b c", "HTTP/1.1"),
        ("M-SEARCH * HTTP/1.1", "M-SEARCH", "*", "HTTP/1.1"),
        ('GET /x"/ HTTP/1.0', "GET", '/x"/', "HTTP/1.0"),
        ("\\x16\\x03\\x01", None, "\\x16\\x03\\x01", None),
        ("-", None, None, None),
        ("", None, None, None),
    ],
    ids=["HTTP/0.9", "blanks", "a hyphen", "a quote inside", "no request", "dash", "empty"],
)
def test_odd_requests_are_rows_too(request_, method, path, protocol):
    values = parsed(f'h - - [01/Jul/1995:00:00:09 -0400] "{request_}" 400 0')
    assert (values["method"], values["path"], values["protocol"]) == (method, path, protocol)


@pytest.mark.parametrize("line", ["", "hello", "h - - [x] GET / 200 1", '{"host": "h"}'])
def test_another_line_is_none_of_the_formats(line):
    assert parsed(line) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17/May/2015:10:05:03 +0000", "2015-05-17T10:05:03+00:00"),
        ("7/dec/2015:23:59:59.250 +05:30", "2015-12-07T23:59:59.250+05:30"),
        ("17/May/2015:10:05:03", "2015-05-17T10:05:03"),
        ("17/Mai/2015:10:05:03 +0000", "17/Mai/2015:10:05:03 +0000"),
        ("1431857103", "1431857103"),
    ],
)
def test_times_are_iso_or_stay_as_they_came(text, expected):
    assert iso_time(text) == expected


def test_a_visitor_is_a_host_and_a_user_agent():
    assert len({visitor("h", "a"), visitor("h", "b"), visitor("g", "a"), visitor("h", None)}) == 4
    assert visitor("h", "a") == "04fc67dffe4cebb1"


def test_rows_keep_the_number_of_their_line_and_corrupt_ones_their_text(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(f"{COMMON}\r\n\nnonsense\n".encode() + b"\xff\xfe\n" + COMBINED.encode())
    found = [(row["source_row"], row["path"], row[CORRUPT]) for row in rows(path)]
    assert found == [
        (0, "/a/b.html", None), (2, None, "nonsense"), (3, None, "\ufffd\ufffd"),
        (4, "/a/b.html", None),
    ]  # fmt: skip


def test_the_host_can_be_the_user(tmp_path):
    path = tmp_path / "access.log"
    path.write_text(f"{COMMON}\n")
    assert rows(path, user="host")[0]["host"] == "h.com"


def test_a_file_that_is_no_access_log_is_named_with_its_first_line(tmp_path):
    path = tmp_path / "access.log"
    path.write_text("u,i,t\na,b,c\n")
    with pytest.raises(SourceError, match=r"access\.log is no access log.*'u,i,t'"):
        rows(path)


REQUEST = '[05/Mar/2024:10:00:00 +0000] "GET /p HTTP/1.1" 200 512 "-" "UA"'


@pytest.mark.parametrize(
    ("before", "host", "virtual_host"),
    [
        ("shop.example:443 192.0.2.1 - -", "192.0.2.1", "shop.example:443"),
        ("shop.example 192.0.2.1 - ann", "192.0.2.1", "shop.example"),
        ("shop.example:80 dsl7.isp.example - -", "dsl7.isp.example", "shop.example:80"),
        ("shop.example:443 2001:db8::7 - -", "2001:db8::7", "shop.example:443"),
        ("192.0.2.7, 198.51.100.9 - -", "192.0.2.7", None),
        ("192.0.2.7,198.51.100.9,10.0.0.1 - -", "192.0.2.7", None),
        ('"192.0.2.7, 10.0.0.9" 10.0.0.1 - -', "192.0.2.7", None),
        ("2001:db8::7, 198.51.100.9 - ann", "2001:db8::7", None),
        ("shop.example:443 192.0.2.7, 198.51.100.9 - -", "192.0.2.7", "shop.example:443"),
        ("shop.example:443 192.0.2.7, 10.0.0.9 10.0.0.1 - -", "192.0.2.7", "shop.example:443"),
        ("192.0.2.7 10.0.0.1 - -", "192.0.2.7", None),
        ("192.0.2.7 192.0.2.7 - -", "192.0.2.7", None),
        ("- 192.0.2.7 - -", "192.0.2.7", None),
        ("192.0.2.7:51234 - -", "192.0.2.7", None),
        ("[2001:db8::7]:51234 - -", "2001:db8::7", None),
        ("192.0.2.7:51234, 198.51.100.9:80 - -", "192.0.2.7", None),
        ("192.0.2.7 shop.example - -", "192.0.2.7", "shop.example"),
        ("192.0.2.7 shop.example -", "192.0.2.7", "shop.example"),
        ("192.0.2.7 - ann lee", "192.0.2.7", None),
        ("h.com - -", "h.com", None),
        ("::1 - -", "::1", None),
        ("- - -", None, None),
    ],
)
def test_the_client_is_the_host_whatever_stands_before_it(before, host, virtual_host):
    values = parsed(f"{before} {REQUEST}")
    assert (values["host"], values["virtual_host"]) == (host, virtual_host)
    assert values["visitor"] == (None if host is None else visitor(host, "UA"))


@pytest.mark.parametrize(
    "before",
    [
        "10.0.0.1 192.0.2.7 - -",
        "192.0.2.7 198.51.100.9 - -",
        "10.0.0.1 192.0.2.7, 198.51.100.9 - -",
        "shop.example client.example - -",
        "shop.example 192.0.2.1 ann",
        "shop.example:443 - -",
        "unknown, 192.0.2.7 - -",
        ", 192.0.2.7 - -",
        "h.com someone ann lee",
        "192.0.2.1 (192.0.2.7) - -",
        "192.0.2.7 shop - -",
        "192.0.2.7 - - 7f3a",
    ],
)
def test_a_line_that_does_not_say_which_host_is_the_client_is_refused(before):
    assert parsed(f"{before} {REQUEST}") is None


@pytest.mark.parametrize(
    ("asked", "behind", "host"),
    [
        ("10.0.0.1", '"192.0.2.55"', "192.0.2.55"),
        ("10.0.0.1", '"192.0.2.55" 0.003', "192.0.2.55"),
        ("10.0.0.1", '"192.0.2.55, 10.1.1.1"', "192.0.2.55"),
        ("10.0.0.1", '"2001:db8::7, 10.1.1.1" "x"', "2001:db8::7"),
        ("10.0.0.1", '"10.2.3.4"', "10.2.3.4"),
        ("10.0.0.1", '"192.0.2.55:40000"', "192.0.2.55"),
        ("10.0.0.1", "192.0.2.55", "192.0.2.55"),
        ("198.51.100.1", '"192.0.2.55"', "192.0.2.55"),
        ("10.0.0.1", '"unknown, 192.0.2.55"', None),
        ("198.51.100.1", '"-"', "198.51.100.1"),
        ("198.51.100.1", '"unknown"', "198.51.100.1"),
        ("198.51.100.1", '"10.2.3.4"', "198.51.100.1"),
        ("198.51.100.1", '"10.0.0.5:8080"', "198.51.100.1"),
        ("198.51.100.1", "192.0.2.55", "198.51.100.1"),
        ("198.51.100.1", "0.003 10.0.0.5:8080", "198.51.100.1"),
        ("198.51.100.1", '"shop.example"', "198.51.100.1"),
    ],
)
def test_the_client_may_be_named_behind_the_user_agent(asked, behind, host):
    values = parsed(f"{asked} - - {REQUEST} {behind}")
    assert (values["host"], values["rest"]) == (host, behind)
    assert values["visitor"] == (None if host is None else visitor(host, "UA"))


def test_quotes_inside_of_a_user_agent_that_nobody_escaped_are_a_part_of_it():
    values = parsed(f'{COMMON} "http://x.org/" "Mozilla "quoted" 5"')
    assert (values["referrer"], values["user_agent"]) == ("http://x.org/", 'Mozilla "quoted" 5')


@pytest.mark.parametrize("user", ["Smith, John", "ann  lee", '"ann"', "a.b@c"])
def test_a_user_is_kept_as_it_stands(user):
    assert parsed(f"192.0.2.7 - {user} {REQUEST}")["user"] == user


def test_three_clients_behind_a_virtual_host_are_three_visitors(tmp_path):
    path = tmp_path / "access.log"
    lines = [f"shop.example:443 192.0.2.{n % 3} - - {REQUEST}" for n in range(9)]
    path.write_text("\n".join(lines))
    assert len({row["visitor"] for row in rows(path)}) == 3


@pytest.mark.parametrize(
    ("line", "form"),
    [("#Version: 1.0", "w3c"), ('{"request": {"uri": "/"}}', "jsonl"),
     ("https 2024-03-05T10:00:00.1Z app/lb 192.0.2.7:80 -", "alb")],
)  # fmt: skip
def test_a_log_of_another_format_is_told_which(tmp_path, line, form):
    path = tmp_path / "access.log"
    path.write_text(f"{line}\n")
    with pytest.raises(SourceError, match=rf"It looks like .*source\.format: {form}"):
        rows(path)
