"""What a verdict tells, what it costs, and how a rule that cannot be judged is named."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
from pyspark.sql import functions as F

import expectations
from headrace.errors import ChecksFailed, SpecError
from headrace.spec.model import Check

# pyspark leaves the socket of `collect` to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
UNIQUE = "expect_column_values_to_be_unique"


def check(expectation, action="warn", name=None, **arguments):
    return Check(expectation=expectation, arguments=arguments, action=action, name=name)


@pytest.fixture(scope="module")
def flights(spark):
    rows = [(1, "AA", "10", 1), (2, "UA", "20", 1), (2, "UA", "late", 0), (4, None, None, None)]
    df = spark.createDataFrame(rows, "flight int, carrier string, delay string, number int")
    df = df.withColumn("_row", F.monotonically_increasing_id()).cache()
    yield df
    df.unpersist()


MANY = [
    check(BETWEEN, column="flight", min_value=2),
    check(IN_SET, column="carrier", value_set=["AA", "UA"], action="quarantine"),
    check("expect_column_values_to_not_be_null", column="carrier", action="quarantine"),
    check("expect_column_values_to_match_regex", column="carrier", regex="^A"),
    check(UNIQUE, column="flight"),
    check("expect_compound_columns_to_be_unique", column_list=["flight", "delay"]),
    check("expect_column_unique_value_count_to_be_between", column="carrier", min_value=2),
    check("expect_column_mean_to_be_between", column="flight", max_value=2, action="fail"),
    check("expect_table_row_count_to_be_between", min_value=1, action="fail"),
]


def test_a_verdict_is_made_of_json_values_in_the_order_of_the_checks(flights):
    verdicts = expectations.judge(flights, MANY)
    assert [verdict.rule for verdict in verdicts] == [check.rule for check in MANY]
    assert json.loads(json.dumps([asdict(verdict) for verdict in verdicts]))[1] == {
        "rule": "column_values_to_be_in_set_carrier",
        "expectation": IN_SET,
        "arguments": {"column": "carrier", "value_set": ["AA", "UA"]},
        "column": "carrier",
        "action": "quarantine",
        "success": True,
        "vacuous": False,
        "rows": 4,
        "missing": 1,
        "unexpected": 0,
        "unexpected_percent": 0.0,
        "observed": None,
    }
    assert (verdicts[7].success, verdicts[7].observed) == (False, "2.25")


def test_no_check_is_no_verdict_and_no_flag(flights):
    assert expectations.judge(flights, []) == ()
    assert expectations.row_flags(flights, []) == {}


def test_one_aggregation_and_one_grouped_query_serve_a_suite(flights, queries):
    flights.count()  # so that it stands in the cache
    before = queries()
    expectations.judge(flights, MANY)
    assert queries() - before == 2


def test_flags_take_no_query(flights, queries):
    before = queries()
    expectations.row_flags(flights, MANY)
    assert queries() == before


@pytest.fixture
def queries(spark):
    """Counts the queries that the session has run so far."""
    store = spark._jsparkSession.sharedState().statusStore()  # noqa: SLF001 - no public way to it
    bus = spark.sparkContext._jsc.sc().listenerBus()  # noqa: SLF001 - nor to it

    def newest() -> int:
        bus.waitUntilEmpty()  # the store is told a little later
        ran = store.executionsList()
        # Not their number: the store forgets the oldest beyond a thousand.
        return -1 if ran.isEmpty() else ran.last().executionId()

    return newest


def test_flags_that_are_held_already_give_the_same_verdicts_without_a_group(flights, queries):
    unique = [check(UNIQUE, column="flight"), *MANY[:4]]
    flags = expectations.row_flags(flights, unique)
    named = {rule: f"_breaks_{i}" for i, rule in enumerate(flags)}
    held = flights.withColumns({named[rule]: flag for rule, flag in flags.items()}).cache()
    held.count()
    before = queries()
    verdicts = expectations.judge(
        held, unique, flags={rule: F.col(name) for rule, name in named.items()}
    )
    assert queries() - before == 1
    assert verdicts == expectations.judge(flights, unique)
    held.unpersist()


def test_on_no_rows_row_rules_pass_as_vacuous_and_table_rules_judge(flights):
    some, *_, mean, rows = expectations.judge(flights.where("flight > 9"), MANY)
    assert (some.success, some.vacuous, some.rows) == (True, True, 0)
    assert (mean.success, mean.vacuous) == (False, True)
    assert (rows.success, rows.observed) == (False, "0")


def test_distinct_values_too_many_and_too_few_are_told(flights):
    rule = "expect_column_distinct_values_to_equal_set"
    [verdict] = expectations.judge(flights, [check(rule, column="carrier", value_set=["UA", "9E"])])
    assert (verdict.success, verdict.observed) == (False, "unexpected: AA; missing: 9E")


def test_a_long_value_set_is_told_by_its_number(flights):
    values = [f"X{i}" for i in range(30)]
    [verdict] = expectations.judge(flights, [check(IN_SET, column="carrier", value_set=values)])
    assert verdict.arguments["value_set"] == {"count": 30, "first": values[:5]}
    assert verdict.unexpected == 3


def test_rules_do_not_see_columns_of_our_own(flights):
    columns = "expect_table_columns_to_match_set"
    known = ["flight", "carrier", "delay", "number"]
    [verdict] = expectations.judge(flights, [check(columns, column_set=known)])
    assert verdict.success
    with pytest.raises(SpecError, match="no column '_row'"):
        expectations.judge(flights, [check(UNIQUE, column="_row")])


def test_a_row_condition_keeps_a_cast_from_rows_it_would_fail_on(flights):
    numbers = check(IN_SET, column="delay", value_set=[10, 20], row_condition="number = 1")
    assert expectations.judge(flights, [numbers])[0].success
    [flag] = expectations.row_flags(flights, [numbers]).values()
    assert flights.where(flag).count() == 0


def test_a_rule_that_fails_on_a_row_is_named_and_no_other(flights):
    with pytest.raises(ChecksFailed) as failure:
        expectations.judge(flights, [check(IN_SET, column="delay", value_set=[10, 20]), *MANY])
    told = failure.value.message
    assert "rule column_values_to_be_in_set_delay cannot be judged" in told
    assert "CAST_INVALID_INPUT" in told
    assert "'late'" in told
    assert len(told.splitlines()) == 1


def test_rows_that_cannot_be_computed_are_told_as_such(flights):
    broken = flights.withColumn("_number", F.col("delay").cast("int")).cache()
    with pytest.raises(ChecksFailed, match=r"rows cannot be computed: \[CAST_INVALID_INPUT"):
        expectations.judge(broken, MANY)
    broken.unpersist()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (check(UNIQUE, column="carier"), "no column 'carier'; did you mean 'carrier'?"),
        (check(BETWEEN, column="flight", minimum=1), "no argument 'minimum'"),
        (check(IN_SET, column="carrier", value_set=["AA", None]), "holds a null"),
        (check(BETWEEN, column="flight"), "min_value and max_value cannot both be None"),
        (check("expect_column_values_to_be_uniqe", column="flight"), "did you mean '.*unique'?"),
        (
            check(BETWEEN, column="carrier", min_value=1),
            "rule .*_carrier cannot be judged: .*String",
        ),
        (check(UNIQUE, column="flight", row_condition="day = 1"), "UNRESOLVED_COLUMN.*`day`"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
@pytest.mark.parametrize("function", [expectations.judge, expectations.row_flags])
def test_a_rule_that_cannot_work_is_a_spec_error(function, wrong, told, flights):
    with pytest.raises(SpecError, match=told):
        function(flights, [wrong, MANY[0]])


def test_two_rules_of_one_name_are_refused(flights):
    with pytest.raises(SpecError, match="rule column_values_to_be_unique_flight: declared 2 times"):
        expectations.judge(flights, [check(UNIQUE, column="flight", mostly=m) for m in (0.5, 0.9)])


def test_several_threads_judge_at_once(flights):
    alone = expectations.judge(flights, MANY)
    with ThreadPoolExecutor(4) as pool:
        assert all(
            found == alone
            for found in pool.map(lambda _: expectations.judge(flights, MANY), range(4))
        )
