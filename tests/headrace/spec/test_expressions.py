import pytest

from headrace.spec.expressions import columns_of, parse
from headrace.spec.functions import AGGREGATES, REFUSED, SCALARS
from headrace.spec.model import ColumnType

COLUMNS = {
    "a": ColumnType.INT,
    "b": ColumnType.DOUBLE,
    "s": ColumnType.STRING,
    "t": ColumnType.TIMESTAMP,
    "ok": ColumnType.BOOLEAN,
}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("hour(t)", ("t",)),
        ("Hour(T)", ("t",)),
        ("dayofweek(from_utc_timestamp(t, 'America/New_York'))", ("t",)),
        ("case when a > 1 then b else 0 end", ("a", "b")),
        ("if(ok, a div 2, a % 3)", ("ok", "a")),
        ("a between 1 and 2 and (s like 'x%' or s rlike '^y')", ("a", "s")),
        ("a in (1, 2, 3)", ("a",)),
        ("cast(s as decimal(10, 2)) + try_cast(s as int) + s::double", ("s",)),
        ("t + interval 5 minutes", ("t",)),
        ("split(s, '-')[0]", ("s",)),
        ("s || \"x\" || 'it''s; ? ('", ("s",)),
        ("`a` <=> b -- why", ("a", "b")),
        ("pi() * b * b", ("b",)),
        ("unix_timestamp(t)", ("t",)),
        ("extract(hour from t)", ("t",)),
    ],
)
def test_a_value_of_one_row_is_accepted(sql, columns):
    found = parse(sql, COLUMNS)
    assert (found.columns, found.problems) == (columns, ())
    assert columns_of(sql) == columns


@pytest.mark.parametrize(
    "sql",
    [
        "avg(a)",
        "count(*)",
        "count(distinct s)",
        "avg(a) - avg(b) * 2",
        "sum(a) filter (where b > 1)",
        "percentile_cont(0.5) within group (order by a)",
        "coalesce(max(if(ok, a, null)), 0)",
        "count_if(a > 15) / count(*)",
        "any(ok)",
    ],
)
def test_an_aggregate_is_accepted_for_history_only(sql):
    assert parse(sql, COLUMNS, aggregate=True).problems == ()
    (problem,) = parse(sql, COLUMNS).problems
    assert problem.endswith("is an aggregate over rows: only `history` takes one")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "a +",
        "a b",
        "(a",
        "a)",
        "a = = b",
        "'a",
        "a;",
        "a; b",
        "a; drop table x",
        "drop table x",
        "select 1",
        "(select 1)",
        "a in (select a from x)",
        "exists(select 1)",
        "a from x",
        "a as b",
        "x.a",
        "spark_catalog.x.a",
        "*",
        "(a, b)",
        "split(s, '-')",
        "sum(a) over (partition by b)",
        "row_number() over (order by a)",
        "lag(a)",
        "transform(s, x -> x)",
        "explode(split(s, ','))",
        ":x",
        "?",
        "{{ a }}",
        "${a}",
        "@a",
        "rand()",
        "`rand`()",
        "RAND ()",
        "uuid()",
        "now()",
        "current_date",
        "current_timestamp()",
        "unix_timestamp()",
        "localtimestamp",
        "current_user",
        "session_user",
        "date 'now'",
        "t > ' Tomorrow UTC'",
        "cast('today' as date)",
        "to_date('yesterday')",
        "first(a)",
        "collect_list(a)",
        "max_by(a, b)",
        "reflect('java.lang.System', 'exit', '1')",
        "java_method('java.lang.System', 'getenv')",
        "input_file_name()",
        "monotonically_increasing_id()",
        "raise_error('x')",
        "no_such_function(a)",
        "a ? b",
        "c",
        "(" * 60 + "a" + ")" * 60,
        "not " * 900 + "ok",
        "a + " * 2000 + "a",
    ],
)
def test_whatever_is_not_one_steady_value_is_refused(sql):
    assert parse(sql, COLUMNS).problems
    assert parse(sql, COLUMNS, aggregate=True).problems


@pytest.mark.parametrize("sql", ["a", "a + 1", "'x'", "-b", "(t)", "a || s"])
def test_what_is_surely_not_true_or_false_is_no_condition(sql):
    problem = "must be true or false, such as `delay > 15`"
    assert parse(sql, COLUMNS, gives="boolean").problems == (problem,)


@pytest.mark.parametrize(
    "sql", ["ok", "a > 1", "not ok", "s is null", "ok and a > 1", "isnull(a)", "s like 'x%'"]
)
def test_what_may_be_true_or_false_is_a_condition(sql):
    assert parse(sql, COLUMNS, gives="boolean").problems == ()


def test_an_unknown_name_comes_with_the_nearest():
    assert parse("delai + delay", {"delay": ColumnType.INT}, where="x").problems == (
        "no column 'delai' in x; did you mean 'delay'?",
    )
    assert parse("avrg(a)", COLUMNS, aggregate=True).problems == (
        "no function avrg() that a spec may use; did you mean 'avg'?",
    )


def test_the_functions_are_those_of_spark(spark):
    grammar = {"try_cast", "timestampadd", "timestampdiff"}  # Spark has no entry for these
    classes = {entry.name: entry.className or "" for entry in spark.catalog.listFunctions()}
    ours = SCALARS | AGGREGATES | REFUSED.keys()
    assert ours - classes.keys() == grammar
    assert {name for name in SCALARS if ".aggregate." in classes.get(name, "")} == set()
    assert {name for name in AGGREGATES if ".aggregate." not in classes[name]} == set()
