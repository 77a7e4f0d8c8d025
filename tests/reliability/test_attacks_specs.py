"""Pipeline files and names made to do harm: refused in words, or shown to be harmless."""

from __future__ import annotations

import copy
import glob
import json
import os
import random
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from headrace import plan, runs
from headrace.browse import OpenLake
from headrace.errors import SpecError, UsageError
from headrace.lake import Lake, append
from headrace.report import page
from headrace.spec import Pipeline, digest_of, landing_glob, load, validate
from headrace.spec.document import read
from headrace.stage import Outcome, StageResult

ROOT = Path(__file__).parents[2]
SHOP = read((ROOT / "tests/headrace/spec/shop.yaml").read_text()).data
FLIGHTS = read((ROOT / "examples/flight_delays/pipeline.yaml").read_text()).data


def written(data, folder):
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def put(data, place, value):
    """A copy of the document with another value at a place."""
    changed = copy.deepcopy(data)
    parent = changed
    for part in place[:-1]:
        parent = parent[part]
    parent[place[-1]] = value
    return changed


def renamed(data, place, name):
    """A copy of the document with another key at a place."""
    changed = copy.deepcopy(data)
    parent = changed
    for part in place[:-1]:
        parent = parent[part]
    parent[name] = parent.pop(place[-1])
    return changed


# Names ---------------------------------------------------------------------------------------

NAMES = [
    *("..", ".", "../x", "../../../../etc/passwd", "x/..", "x/../../y", "./x", "x/", "/", "//x"),
    *("/etc/passwd", "/var/x", "~", "~root", "~/x", "$HOME", "file:///etc/passwd", "s3://b/x"),
    *("%2e%2e", "%2e%2e%2f", "..%2fx", "%00", "x%2fy", "..%252fx", "&#46;&#46;", "\\x2e\\x2e"),
    *("x\u2215y", "x\uff0fy", "\u2025", "\uff0e\uff0e", "x\u2044y", "\u202ex", "x\u200b", "\u0430"),
    *("x\0y", "x\0", "x\ny", "x\n", "\nx", "x\r", "x\ty", "x\x1b[31m", "x\u0085y", "x\u2028y"),
    *(
        "..\\x",
        "C:\\x",
        "c:x",
        "\\\\host\\x",
        "con.txt",
        "nul.",
        "aux:",
        "x::$DATA",
        "x ",
        " x",
        "x.",
    ),
    *(
        "x" * 300,
        "é" * 300,
        "a" * 101,
        "_delta_log",
        "_batch",
        "_change_data",
        "_x",
        ".x",
        "-x",
        "--x",
    ),
    *("", " ", "*", "?", "x*", "[x]", "{x,y}", "x;y", "x'y", 'x"y', "x`y", "X", "1x", "x=1", "x|y"),
    *("a.b", "a,b", "a b", "<b>", "{{x}}", "${x}", "$(id)", "`id`", "|id", "x#y", "x:y"),
]
# Allowed: no folder of a lake, and no file below, is named by them anywhere but in the lake.
WINDOWS = ["con", "nul", "aux", "prn", "com1", "lpt1"]
FIELDS = {
    "pipeline": lambda name: put(SHOP, ("name",), name),
    "source": lambda name: renamed(SHOP, ("sources", "prices"), name),
    "column": lambda name: renamed(SHOP, ("sources", "orders", "schema", "paid"), name),
    "feature": lambda name: renamed(SHOP, ("features", "columns", "weekday"), name),
    "new name of a looked-up column": lambda name: put(
        SHOP, ("features", "lookups", "customers", "columns"), {name: "age"}
    ),
    "new name of a latest column": lambda name: renamed(
        SHOP, ("features", "latest", "prices", "columns", "last_price"), name
    ),
    "history": lambda name: renamed(SHOP, ("features", "history", "returned_7d"), name),
    "target": lambda name: put(SHOP, ("target", "name"), name),
    "check": lambda name: put(SHOP, ("checks", "orders", 1, "name"), name),
    "algorithm": lambda name: put(SHOP, ("training", "algorithms"), [name]),
    "key": lambda name: put(SHOP, ("sources", "orders", "key"), [name]),
    "reference": lambda name: put(SHOP, ("sources", "returns", "references"), name),
}


def test_there_are_enough_names():
    assert len(set(NAMES)) >= 60


@pytest.mark.parametrize("field", FIELDS)
def test_a_name_that_could_be_anything_but_a_name_is_refused(field, tmp_path):
    for name in NAMES:
        file = tmp_path / "pipeline.yaml"
        file.write_text(json.dumps(FIELDS[field](name)), encoding="utf-8")
        problems = validate(file, environ={})
        assert problems, repr(name)
        assert all("\n" not in problem.at("p") for problem in problems)
        assert all(problem.at("p").isprintable() for problem in problems), repr(name)
        assert all(len(problem.at("p")) < 600 for problem in problems), repr(name)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_name_that_only_windows_reserves_stays_inside_the_lake(name, tmp_path):
    pipeline = load(written(FIELDS["pipeline"](name), tmp_path), environ={})
    root = tmp_path / "lake"
    lake = Lake(root)
    places = [
        *(of(name) for of in (lake.bronze, lake.silver, lake.quarantine)),
        *(of(pipeline.name) for of in (lake.gold, lake.scores, lake.refused, lake.models)),
    ]
    assert all(os.path.realpath(place).startswith(f"{root}/") for place in places)


PATHS = [
    *("../secret/*.csv", "landing/../secret/*.csv", "landing/./../secret/*.csv", "secret/*.csv"),
    *(
        "landing/orders/../../secret/*.csv",
        "landing/*/../../secret/*.csv",
        "landing/**/../../secret/*",
    ),
    *(
        "{top}/secret/*.csv",
        "/{top}/secret/*.csv",
        "//{top}/secret/*.csv",
        "/etc/passwd",
        "~/x.csv",
    ),
    *("landing/[.][.]/secret/*.csv", "landing/.?/secret/*.csv", "landing/?./secret/*.csv"),
    *("landing/[!x][!x]/secret/*.csv", "landing/.[.]/secret/*.csv", "landing/.*/secret/*.csv"),
    *(
        "landing/%2e%2e/secret/*.csv",
        "landing/..%2fsecret/*.csv",
        "landing/%252e%252e/secret/b.csv",
    ),
    *("landing\\..\\secret\\*.csv", "landing/\\../secret/*.csv", "landing/{{..,x}}/secret/*.csv"),
    *(
        "landing\u2215..\u2215secret",
        "landing/\u2025/secret/*.csv",
        "landing/\uff0e\uff0e/secret/*",
    ),
    *("landing/\0../secret/b.csv", "landing/x\n/../../secret/b.csv", "landing/\n../secret/b.csv"),
    *(
        "file://{top}/secret/*.csv",
        "file:{top}/secret/b.csv",
        "FILE:///etc/passwd",
        "http://x/y.csv",
    ),
    *(
        "jar:file:/x!/y",
        "hdfs:///etc/passwd",
        "local:/etc/passwd",
        "s3a://k:s@b/x",
        "landing/../*.yaml",
    ),
    *(
        "landing/" + "x" * 300 + "/*.csv",
        "landing/" + "x/" * 3000 + "a.csv",
        "landing/" + "*" * 200,
    ),
    *("landing/~/../../secret/*.csv", "landing//../secret/*.csv", "landing/...//secret/*.csv"),
    *("landing", "landing/", "landing/.", "landing/..", "..", ".", "/", "", " ", "landingx/*.csv"),
]


def test_a_landing_path_never_reaches_a_file_outside_of_its_root(tmp_path):
    for place in ("landing/orders", "secret", "landing/x"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "b.csv").write_text("id\n1\n")
    inside = f"{tmp_path}/landing/"
    taken = 0
    for path in PATHS:
        data = put(SHOP, ("sources", "orders", "path"), path.format(top=tmp_path))
        file = written(data, tmp_path)
        if problems := validate(file, environ={}):
            assert {problem.path for problem in problems} <= {"sources.orders.path", ""}, path
            continue
        taken += 1
        pattern = landing_glob(load(file, environ={}), "orders")
        found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - as the lake finds them
        assert all(os.path.realpath(file).startswith(inside) for file in found), path
    assert 0 < taken < len(PATHS) // 2


def test_a_table_is_opened_by_the_name_of_a_table_of_the_lake_only(tmp_path):
    rows = pa.table({"a": [1]})
    for place in ("lake/silver/orders", "outside"):
        path = tmp_path / place
        append(path, rows, unit="x/ingest/y")
    opened = OpenLake(tmp_path / "lake")
    assert opened.table("silver/orders").arrow().num_rows == 1
    tricks = ["../outside", f"{tmp_path}/outside", "silver/../../outside", "silver/./orders"]
    tricks += ["silver", "silver/orders/_delta_log", "silver//orders", "silver/orders/", *NAMES]
    for name in tricks:
        with pytest.raises(UsageError, match="no table"):
            opened.table(name)


def test_a_pipeline_by_another_name_has_no_model(tmp_path):
    (tmp_path / "lake").mkdir()
    opened = OpenLake(tmp_path / "lake")
    for name in NAMES:
        with pytest.raises(UsageError, match="no model"):
            opened.model(name, "a" * 32)
        with pytest.raises(UsageError, match="no model"):
            opened.model("flights", name)


def test_a_page_is_written_of_a_run_of_the_lake_only(tmp_path):
    lake, pipeline = Lake(tmp_path / "lake"), load(written(SHOP, tmp_path), environ={"BUCKET": "b"})
    lake.runs("r1").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for run in [*NAMES, "../../outside", f"{tmp_path}/outside", "r1/../r1", "./r1", "r1/"]:
        with pytest.raises(UsageError, match="no run"):
            page.write(pipeline, lake, run=run)
    assert sorted(tmp_path.rglob("*")) == before


# Expressions ---------------------------------------------------------------------------------

INJECTIONS = [
    # queries, tables, files as tables
    "(select 1)",
    "(select max(amount) from orders)",
    "amount in (select amount from other)",
    "exists (select 1)",
    "exists (select * from parquet.`/etc/passwd`)",
    "(select first(value) from text.`/etc/passwd`)",
    "(select * from csv.`file:///etc/passwd`)",
    "(with q as (select 1 as x) select x from q)",
    "amount = any (select 1)",
    "amount in (from other select amount)",
    "amount in (values 1)",
    "(values 1)",
    "(table other)",
    "parquet.`/etc/passwd`",
    "`parquet`.`/etc/passwd`",
    "delta.`/lake/gold/shop`.amount",
    "amount from text.`/etc/passwd`",
    "amount union select 1",
    "amount |> select 1",
    # statements
    "amount; drop table orders",
    ";",
    "amount;",
    "drop table orders",
    "set spark.sql.ansi.enabled=false",
    "create function f as 'x.Y' using jar '/tmp/x.jar'",
    "add jar '/tmp/x.jar'",
    "select amount",
    "execute immediate 'select 1'",
    "insert into orders values (1)",
    # comments
    "amount -- \n; drop table orders",
    "amount /* */ ; drop table orders",
    "amount /* not closed",
    "rand/**/()",
    "rand -- x\n ()",
    "/**/reflect/**/('java.lang.Runtime', 'getRuntime')",
    # code
    "reflect('java.lang.System', 'exit', '1')",
    "java_method('java.lang.System', 'getenv', 'SECRET')",
    "try_reflect('java.lang.Runtime', 'getRuntime')",
    "`reflect`('java.lang.System', 'getenv', 'SECRET')",
    "REFLECT ('java.lang.System', 'exit', '1')",
    "builtin.reflect('java.lang.System', 'exit', '1')",
    "system.builtin.java_method('java.lang.System', 'exit', '1')",
    "if(true, reflect('java.lang.System', 'exit', '1'), amount)",
    "my_udf(amount)",
    "`my udf`(amount)",
    "`my-udf`(amount)",
    "2udf(amount)",
    "`filter`(amount, 1)",
    "default.my_udf(amount)",
    "identifier('re' || 'flect')('java.lang.System', 'exit', '1')",
    "from_json(id, 'x int')",
    "xpath(id, 'x')",
    "ai_query('model', id)",
    # files and sessions
    "input_file_name()",
    "_metadata.file_path",
    "_metadata",
    "read_files('/etc/passwd')",
    "current_user",
    "current_user()",
    "session_user",
    "current_database()",
    "version()",
    "${spark.master}",
    "${env:HOME}",
    "@@version",
    ":name",
    "?",
    # several rows, windows, lambdas
    "range(10)",
    "explode(split(id, ','))",
    "stack(2, amount, amount)",
    "sum(amount) over ()",
    "row_number() over (order by amount)",
    "lag(amount)",
    "transform(array(amount), x -> x)",
    "aggregate(array(amount), 0, (x, y) -> x + y)",
    "filter(array(amount), x -> true)",
    "filter(array(amount), 1)",
    # other values each time
    "rand()",
    "randn(1)",
    "uuid()",
    "`uuid`()",
    "now()",
    "current_date",
    "current_timestamp",
    "unix_timestamp()",
    "monotonically_increasing_id()",
    "shuffle(array(amount))[0]",
    "timestamp 'now'",
    "cast('today' as date)",
    "cast(r'now' as timestamp)",
    "cast('n\\u006fw' as timestamp)",
    "cast('no' 'w' as timestamp)",
    "cast('no' || 'w' as timestamp)",
    "cast(concat('no', 'w') as timestamp)",
    "cast(reverse('won') as timestamp)",
    "cast(cast(x'6e6f77' as string) as timestamp)",
    "cast(conv('30536', 10, 36) as timestamp)",
    "cast(array_join(array('no', 'w'), '') as timestamp)",
    "timestamp '10:30'",  # of today
    "to_timestamp('T10:30')",
    "placed > '10:30'",
    "cast(id as timestamp)",
    "to_timestamp_ntz(id)",
    # columns and lists that are not there
    "`amount``; drop`",
    "`a.b`",
    "`orders`.`amount`",
    "*",
    "orders.*",
    "array(amount)",
    "(amount, amount)",
    "cast(id as array<int>)",
    "cast(id as struct<x: int>)",
    "cast(id as variant)",
    "amount as other",
]
PLACES = {
    "features.columns.weekday": ("features", "columns", "weekday"),
    "target.value": ("target", "value"),
    "features.history.returned_7d.value": ("features", "history", "returned_7d", "value"),
    "checks.orders[1].": ("checks", "orders", 1),
}
CONDITION = {"column": "amount", "min_value": 0}


def with_sql(sql, *, only=None):
    data = SHOP
    for place in PLACES.values():
        if only is not None and place != only:
            continue
        rule = {"expect_column_values_to_be_between": {**CONDITION, "row_condition": sql}}
        data = put(data, place, rule if place[0] == "checks" else sql)
    return data


def test_there_are_enough_injections():
    assert len(set(INJECTIONS)) >= 80


@pytest.mark.parametrize("sql", INJECTIONS)
def test_an_injection_is_refused_wherever_an_expression_may_stand(sql, tmp_path):
    # The target has other columns than the rows: `returns` has no `amount`, but it has `placed`.
    problems = validate(written(with_sql(sql), tmp_path), environ={})
    for place in PLACES:
        told = [problem.message for problem in problems if problem.path.startswith(place)]
        assert told, place
        assert all(0 < len(message) < 300 and message.isprintable() for message in told)


# The reason why each may stand: what it may say at most.
HARMLESS = {
    "/*+ broadcast(x) */ amount": "a hint within an expression is a comment to Spark",
    "amount -- '; drop table x": "a comment to the end of the line",
    "'; drop table x --'": "a constant text",
    '"(select 1)"': "a constant text: Spark's double quotes are not names",
    "`amount`": "a column of its own name",
    "cast('epoch' as timestamp)": "always 1970-01-01",
    "date '10:30'": "Spark refuses it: no date",
    "case when amount > 0 then 1 else 0 end": "a value of one row",
    "hash(amount)": "the same for the same row",
    "get_json_object(id, '$.x')": "reads the cell, calls nothing",
    "parse_url(id, 'QUERY')": "reads the cell, opens nothing",
    "regexp_replace(id, '(.*)', '$1')": "a pattern of Java's, over the cell",
    "array(amount, 1)[0]": "one value of the row",
    "repeat(id, 3)": "a longer text",
}


@pytest.mark.parametrize("sql", HARMLESS)
def test_what_looks_hostile_and_is_one_steady_value_of_a_row_may_stand(sql, tmp_path):
    data = with_sql(sql, only=PLACES["features.columns.weekday"])
    assert validate(written(data, tmp_path), environ={}) == []


@pytest.mark.parametrize("value", ["now", "TODAY", " yesterday", "tomorrow UTC", "10:30", "T1:2"])
def test_a_moment_in_a_rule_does_not_move_with_the_clock(value, tmp_path):
    column, at = {"column": "placed"}, ("checks", "orders", 1)
    for rule in (
        {"expect_column_values_to_be_between": {**column, "min_value": value}},
        {"expect_column_max_to_be_between": {**column, "max_value": value}},
        {"expect_column_values_to_be_in_set": {**column, "value_set": [value]}},
    ):
        (problem,) = validate(written(put(SHOP, at, rule), tmp_path), environ={})
        assert "is no value of a column of type timestamp" in problem.message


def test_a_message_about_an_expression_that_cannot_be_shown_is_still_one(tmp_path):
    data = with_sql("max(regexp_replace(id, 'a'))", only=PLACES["features.columns.weekday"])
    (problem,) = validate(written(data, tmp_path), environ={})
    assert problem.message.endswith("is an aggregate over rows: only `history` takes one")


# YAML ----------------------------------------------------------------------------------------

LAUGHS = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (n, n, n - 1, n - 1, n - 1) for n in range(1, 40)
)
BOMBS = {
    "a billion laughs": LAUGHS,
    "an alias of itself": b"name: &a [*a]\n",
    "merge keys": b"x: &x {a: 1}\nname: {<<: *x}\n",
    "a Python object": b"name: !!python/object/apply:os.system [id]\n",
    "a Python name": b"name: !!python/name:os.system ''\n",
    "a new object": b"name: !!python/object/new:subprocess.Popen [[id]]\n",
    "a tag of its own": b"%TAG ! tag:yaml.org,2002:python/object/apply:\n---\nname: !os.system [a]",
    "binary": b"name: !!binary aGVsbG8=\n",
    "a set": b"name: !!set {a, b}\n",
    "lists within lists": b"name: " + b"[" * 200_000,
    "maps within maps": b"name: " + b"{a: " * 200_000,
    "blocks within blocks": b"".join(b" " * n + b"a:\n" for n in range(1_300)),
    "dashes": b"- " * 400_000,
    "questions": b"? " * 400_000,
    "ten megabytes": b"name: shop\n" + b"#" * 10_000_000,
    "ten megabytes of keys": b"".join(b"k%d: 1\n" % n for n in range(900_000)),
    "a key twice": b"name: a\nname: b\n",
    "a key five thousand times": b"name: a\n" * 4_000,
    "a huge number": b"training: {seed: " + b"9" * 5_000 + b"}\n",
    "a huge hex number": b"training: {seed: 0x" + b"f" * 90_000 + b"}\n",
    "a huge exponent": b"training: {trials: 1e99999999}\n",
    "a long key": b"k" * 100_000 + b": 1\n",
    "a long text": b"name: '" + b"x" * 900_000 + b"'\n",
    "escapes": b'name: "' + b"\\U0001F600" * 90_000 + b'"\n',
    "surrogates": b'name: "\\ud800"\n',
    "NUL": b"name: a\0b\n",
    "bytes": bytes(range(256)) * 100,
    "UTF-16": "name: shop\n".encode("utf-16"),
    "gzip": b"\x1f\x8b\x08" + b"\0" * 100,
    "a pickle": b"\x80\x04\x95cos\nsystem\n.",
    "many documents": b"---\nname: a\n" * 50_000,
    "anchors": b"".join(b"k%d: &a%d 1\n" % (n, n) for n in range(4_000)),
    "a folded text": b"name: >\n" + b" x\n" * 200_000,
    "nothing": b"",
}
READER = """
import resource, sys, time
from headrace.errors import SpecError
from headrace.spec import load
load(sys.argv[1], environ={})
for file in sys.argv[2:]:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        load(file, environ={})
        told = "valid"
    except SpecError as error:
        told = str(error).replace(file, "FILE")
    seconds = time.process_time() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(repr((told[:400], max(map(len, told.split(chr(10)))), round(seconds, 3), grown // 1024)))
"""


def test_each_yaml_bomb_is_one_message_in_a_second_and_little_memory(tmp_path):
    sound = written(SHOP, tmp_path)
    files = []
    for number, content in enumerate(BOMBS.values()):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_bytes(content)
    code = [sys.executable, "-P", "-c", READER, sound, *files]
    done = subprocess.run(code, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    told = [eval(line, {}) for line in done.stdout.splitlines()]  # noqa: S307 - our own output
    assert len(told) == len(BOMBS)
    for kind, (message, longest, seconds, grown_mib) in zip(BOMBS, told, strict=True):
        assert message.startswith("FILE"), kind
        assert longest < 600, kind
        assert seconds < 1, (kind, seconds)
        assert grown_mib < 64, (kind, grown_mib)


@pytest.mark.parametrize("digits", [30, 308, 309, 400])
@pytest.mark.parametrize("place", ["min_value", "mostly", "sum_total", "trials", "seed"])
def test_a_huge_number_is_a_problem_or_a_number(digits, place, tmp_path):
    number = int("9" * digits)
    rule = {"expect_column_values_to_be_between": {**CONDITION, place: number}}
    if place == "sum_total":
        columns = {"column_list": ["amount", "amount"], place: number}
        rule = {"expect_multicolumn_sum_to_equal": columns}
    training = place in {"trials", "seed"}
    at = ("training", place) if training else ("checks", "orders", 1)
    problems = validate(written(put(SHOP, at, number if training else rule), tmp_path), environ={})
    assert all(len(problem.message) < 300 for problem in problems)
    assert problems or digits <= 308


# Mutations -----------------------------------------------------------------------------------

EXTREMES = [
    *(
        0,
        -1,
        2**31,
        2**63,
        2**64,
        10**300,
        10**399,
        0.1,
        -0.0,
        1e308,
        True,
        False,
        None,
        "",
        [],
        {},
    ),
    *(
        "99999 weeks",
        "0 days",
        "99999 minutes",
        "1 day",
        "24:00",
        "00:00",
        "0001-01-01",
        "9999-12-31",
    ),
    *(
        "2013-02-30",
        "* * * * *",
        "60 * * * *",
        "UTC",
        "Etc/GMT+14",
        "../UTC",
        "null",
        "~",
        "\ud7ff",
    ),
    *(
        [None],
        [[]],
        {"": ""},
        {"source": "orders", "column": "id"},
        ["id", "id"],
        "landing/**",
        "now",
    ),
]


def places(data, at=()):
    if at:
        yield at
    children = data.items() if isinstance(data, dict) else ()
    for key, value in enumerate(data) if isinstance(data, list) else children:
        yield from places(value, (*at, key))


def inside(data, place):
    for part in place:
        data = data[part]
    return data


def mutated(chance, data, other):
    """The document with one change that keeps it YAML: its parts moved, swapped, or extreme."""
    at = chance.choice(list(places(data)))
    kind = chance.choice(["extreme", "sql", "name", "graft", "swap", "delete", "rename", "double"])
    parent = inside(data, at[:-1])
    if kind == "extreme":
        parent[at[-1]] = copy.deepcopy(chance.choice(EXTREMES))
    elif kind == "sql":
        parent[at[-1]] = chance.choice([*INJECTIONS, *HARMLESS])
    elif kind == "name":
        parent[at[-1]] = chance.choice(NAMES)
    elif kind == "graft":  # a part of the other pipeline, from the same place where it has one
        theirs = [place for place in places(other) if place[-1] == at[-1]] or list(places(other))
        parent[at[-1]] = copy.deepcopy(inside(other, chance.choice(theirs)))
    elif kind == "swap":
        there = chance.choice([to for to in places(data) if to[: len(at)] != at])
        if at[: len(there)] != there:
            mine, host = parent[at[-1]], inside(data, there[:-1])
            parent[at[-1]], host[there[-1]] = host[there[-1]], mine
    elif kind == "delete":
        del parent[at[-1]]
    elif isinstance(parent, dict) and kind == "rename":
        keys = [key for place in places(other) for key in place if isinstance(key, str)]
        parent[chance.choice([*keys, *NAMES])] = parent.pop(at[-1])
    elif isinstance(parent, list):
        parent.extend(copy.deepcopy(parent) * chance.choice([1, 50]))


def used(pipeline):
    """What later stages ask of a pipeline before they touch any data."""
    digest_of(pipeline)
    pipeline.model_dump_json(by_alias=True)
    first = pipeline.training.first
    spans = [pipeline.split.validation, pipeline.split.test, pipeline.training.every]
    spans += [part.within for part in pipeline.features.latest.values()]
    spans += [part.over for part in pipeline.features.history.values()]
    assert all(pipeline.at(first) - span < pipeline.at(first) for span in spans)
    assert [landing_glob(pipeline, source) for source in pipeline.sources]
    rules = [check.rule for checks in pipeline.checks.values() for check in checks]
    assert all(len(rule) < 1_000 for rule in rules)
    assert pipeline.at(date(2013, 12, 1)).utcoffset() is not None


@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_mutations_are_each_a_pipeline_or_one_error(seed, tmp_path):
    chance = random.Random(seed)  # noqa: S311 - the same each time
    refused = 0
    for _ in range(100):
        data, other = chance.sample([SHOP, FLIGHTS], 2)
        data = copy.deepcopy(data)
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            if data:
                mutated(chance, data, other)
        file = tmp_path / "pipeline.yaml"
        text = json.dumps(data) if chance.random() < 0.5 else yaml.safe_dump(data, sort_keys=False)
        file.write_text(text, encoding="utf-8")
        started = time.process_time()
        try:
            found = load(file, environ={"BUCKET": "b"})
        except SpecError as error:
            refused += 1
            lines = str(error).split("\n")
            assert all(line.startswith(str(file)) and line.isprintable() for line in lines), text
        else:
            assert isinstance(found, Pipeline)
            used(found)
        assert time.process_time() - started < 1, text
    assert refused > 50


# A secret ------------------------------------------------------------------------------------

CANARY = "Canary-4f9a/Zq7'\"x"
VARIABLES = {"BUCKET": CANARY}


def every_text(data):
    return [at for at in places(data) if isinstance(inside(data, at), str) and at[0] != "env"]


def seen(text):
    return [piece for piece in ("canary-4", "4f9a", "zq7") if piece in str(text).lower()]


@pytest.mark.parametrize(
    "reference", ["${env:BUCKET}", "x ${env:BUCKET} (", "landing/${env:BUCKET}/*"]
)
def test_a_secret_is_in_no_problem_wherever_it_is_put(reference, tmp_path):
    for at in every_text(SHOP):
        for problem in validate(written(put(SHOP, at, reference), tmp_path), environ=VARIABLES):
            assert not seen(problem.at("p")), at


def test_a_secret_has_no_place_but_in_roots_and_paths(tmp_path):
    for at in every_text(SHOP):
        problems = validate(written(put(SHOP, at, "${env:BUCKET}"), tmp_path), environ=VARIABLES)
        told = [problem for problem in problems if "has no place here" in problem.message]
        assert bool(told) == (at[0] != "sources" or at[-1] != "path"), at


@pytest.mark.parametrize("length", [4, 30, 80, 5_000])
def test_a_secret_of_any_length_is_not_shown_in_part(length, tmp_path):
    secret = "".join(chr(ord("A") + n * n % 57) for n in range(length)).replace("\\", "/")
    data = put(SHOP, ("sources", "orders", "path"), "elsewhere/${env:BUCKET}")
    problems = validate(written(data, tmp_path), environ={"BUCKET": secret})
    assert problems
    pieces = {secret[n : n + 8].lower() for n in range(max(1, length - 7))}
    for problem in problems:
        assert not [piece for piece in pieces if piece in problem.message.lower()]


def test_a_variable_that_is_not_listed_is_never_read(tmp_path):
    data = put(SHOP, ("sources", "orders", "path"), "landing/${env:OTHER}/*.csv")
    (problem,) = validate(written(data, tmp_path), environ={"OTHER": CANARY, **VARIABLES})
    assert problem.message.startswith("variable 'OTHER' is not listed in `env`")


def test_a_secret_above_the_landing_folders_reaches_no_plan_no_record_and_no_page(tmp_path):
    value = "Canary-4f9a-Zq7"
    for source in SHOP["sources"]:
        folder = tmp_path / value / source
        folder.mkdir(parents=True)
        header = ",".join(SHOP["sources"][source]["schema"])
        (folder / "a.csv").write_text(f"{header}\n")
        (folder / "b.csv").write_bytes(b"")
    data = {**copy.deepcopy(SHOP), "roots": [f"{tmp_path}/${{env:BUCKET}}"]}
    for source, part in data["sources"].items():
        part["path"] = f"{tmp_path}/${{env:BUCKET}}/{source}/*.csv"
    lake = Lake(tmp_path / "lake")
    pipeline = load(written(data, tmp_path), environ={"BUCKET": value})
    assert value in pipeline.sources["orders"].path
    landing = plan.look(pipeline, lake)
    assert not seen([vars(stage) for stage in plan.plan(pipeline, lake, landing)])
    names = [file.name for found in landing.values() for file in found.set_aside]
    assert names
    assert not seen(names)
    result = StageResult(
        name="ingest", subject="orders", units=("b" * 32,), outcome=Outcome.DONE, notes=tuple(names)
    )
    runs.keep(result, lake.runs("r1"))
    assert not seen(page.write(pipeline, lake, run="r1").read_text())
    assert not seen(digest_of(pipeline))
    kept = [path.read_bytes() for path in lake.root.rglob("*") if path.is_file()]
    assert kept
    assert not seen(kept)
