"""Whatever stands in a pipeline file, loading it gives a Pipeline, or problems with places."""

import copy
import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import SpecError
from headrace.spec import Pipeline, load
from headrace.spec.document import read

EXAMPLE = Path(__file__).parents[3] / "examples" / "flight_delays" / "pipeline.yaml"
DATA = read(EXAMPLE.read_text()).data
WORDS = sorted(set(re.findall(r"\w+", EXAMPLE.read_text())))
SQL_WORDS = [*WORDS, *"()[],.;*'`+-<>=!?:"]
LINE = re.compile(r"pipeline\.yaml(:\d+:\d+( \S.*)?)?: \S.*")

odd_values = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["", "a b", "_x", "X", "${env:HOME}", "${", "../x", "a\nb", "é", "0 5 * * *"]),
    st.sampled_from(["avg(arr_delay)", "rand()", "((", "a;b", "sum(x) over ()", "'", "*", "-- x"]),
    st.text(max_size=8),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from(WORDS), max_size=3),
    st.dictionaries(st.sampled_from(WORDS), st.sampled_from(WORDS), max_size=3),
)


def places(data, at=()):
    yield at
    lists = enumerate(data) if isinstance(data, list) else ()
    for key, value in data.items() if isinstance(data, dict) else lists:
        yield from places(value, (*at, key))


def parent_of(data, place):
    for part in place[:-1]:
        data = data[part]
    return data


def changed(data, draw):
    place = draw(st.sampled_from([place for place in places(data) if place]))
    parent, last = parent_of(data, place), place[-1]
    change = draw(st.sampled_from(["delete", "rename", "replace", "wrap", "move", "repeat"]))
    if change == "delete":
        del parent[last]
    elif change == "rename" and isinstance(parent, dict):
        parent[draw(st.sampled_from(WORDS) | st.text(max_size=8))] = parent.pop(last)
    elif change == "repeat" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    elif change == "wrap":
        parent[last] = draw(st.sampled_from([[parent[last]], {str(last): parent[last]}]))
    elif change == "move":
        others = [place for place in places(data) if place and not isinstance(place[-1], int)]
        other = draw(st.sampled_from(others))
        parent_of(data, other)[other[-1]] = copy.deepcopy(parent[last])
    else:
        parent[last] = draw(odd_values)


def outcome(content, folder):
    file = folder / "pipeline.yaml"
    file.write_bytes(content)
    started = time.process_time()
    try:
        found = load(file, environ={})
    except SpecError as error:
        found = str(error).replace(f"{folder}/", "").split("\n")
    assert time.process_time() - started < 1
    return found


def assert_a_pipeline_or_its_problems(found):
    if not isinstance(found, Pipeline):
        assert found
        assert [line for line in found if not LINE.fullmatch(line)] == []


fuzz = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@fuzz
@given(st.data())
def test_a_mutated_example_gives_a_pipeline_or_its_problems(tmp_path, data):
    spec = copy.deepcopy(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        if spec:
            changed(spec, data.draw)
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    assert_a_pipeline_or_its_problems(outcome(text.encode(), tmp_path))


@fuzz
@given(st.data())
def test_damaged_text_gives_a_pipeline_or_its_problems(tmp_path, data):
    content = EXAMPLE.read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 60))
        piece = data.draw(
            st.binary(max_size=6)
            | st.sampled_from(
                [b"[", b"{", b"&a ", b"*a", b"!!set ", b"\n---\n", b"'", b": ", b"\t"]
            )
        )
        content = content[:start] + piece + content[start + length :]
    assert_a_pipeline_or_its_problems(outcome(content, tmp_path))


@fuzz
@given(st.text(max_size=40) | st.lists(st.sampled_from(SQL_WORDS)).map(" ".join))
def test_any_text_as_an_expression_gives_a_pipeline_or_its_problems(tmp_path, sql):
    spec = copy.deepcopy(DATA)
    spec["features"]["columns"]["hour"] = sql
    spec["features"]["history"]["route_delay_7d"]["value"] = sql
    spec["target"]["value"] = sql
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    assert_a_pipeline_or_its_problems(outcome(text.encode(), tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 900_000,
        b"{" * 900_000,
        b"a: " * 300_000,
        b"- " * 400_000,
        b"? " * 400_000,
        b"\n".join(b"k%d: 1" % i for i in range(4_900)),
        b"sources: {" + b", ".join(b"s%d: {}" % i for i in range(4_900)) + b"}",
        b"features: {columns: {" + b", ".join(b"f%d: a +" % i for i in range(4_900)) + b"}}",
        b"name: " + b"x" * 900_000,
        b"name: '" + b"''" * 400_000,
        b"#" * 900_000,
        b"\n" * 900_000,
    ],
    ids=lambda content: content[:24].decode(),
)
def test_a_file_made_to_be_slow_is_not(content, tmp_path):
    found = outcome(content, tmp_path)
    assert_a_pipeline_or_its_problems(found)
    assert not isinstance(found, Pipeline)
