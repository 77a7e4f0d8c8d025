import pytest

from headrace.spec.document import read
from headrace.spec.load import validate


def told(tmp_path, content):
    file = tmp_path / "pipeline.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [problem.at("pipeline.yaml") for problem in validate(file, environ={})]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: [tailnum]", {"on": ["tailnum"]}),
        ("a: no", {"a": "no"}),
        ("a: Off", {"a": "Off"}),
        ("at: 05:00", {"at": "05:00"}),
        ("at: 05:00 of the interval", {"at": "05:00 of the interval"}),
        ("first: 2013-12-01", {"first": "2013-12-01"}),
        ("null: NA", {"null": "NA"}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: 'true'", {"a": "true"}),
        ("a: true", {"a": True}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: [12, -3, 0x1f, 0o17, 1.5, 1e3, .5]", {"a": [12, -3, 31, 15, 1.5, 1000.0, 0.5]}),
        ("a: =", {"a": "="}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_plain_values_mean_what_they_look_like(text, value):
    document = read(text)
    assert document.data == value
    assert document.problems == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "pipeline.yaml:1:1: the file is empty"),
        ("# nothing\n", "pipeline.yaml:1:1: the file is empty"),
        ("- a\n", "pipeline.yaml:1:1: a list where the keys of a pipeline belong"),
        ("a\n", "pipeline.yaml:1:1: 'a' where the keys of a pipeline belong"),
        ("a: a\n---\nb: b\n", "pipeline.yaml:2:1: a second document: a pipeline file holds one"),
        ("name: *a\n", "pipeline.yaml:1:7 name: alias '*a' is refused: write the value out"),
        ("? [a]\n: b\n", "pipeline.yaml:1:3: a key must be a plain name"),
        ("name: a\x07\n", "pipeline.yaml:1:8: a character that YAML does not allow: '\\x07'"),
        (
            "name: [a\n",
            "pipeline.yaml:2:1: not YAML: did not find expected ',' or ']' "
            "while parsing a flow sequence",
        ),
        (
            "name: a\n\tb: c\n",
            "pipeline.yaml:2:1: not YAML: found a tab character that violates indentation "
            "while scanning a plain scalar",
        ),
        (b"name: caf\xe9\n", "pipeline.yaml:1:10: not UTF-8: save the file as UTF-8"),
        (f"a: {'[' * 60}", "pipeline.yaml:1:53 a[0][0]: nested more than 50 deep"),
        (f"a: [{'1, ' * 30_000}]", "pipeline.yaml:1:14999: more than 5,000 values"),
        ("a" * 1_000_001, "pipeline.yaml: larger than 1,000,000 bytes, which no pipeline needs"),
    ],
)
def test_a_file_that_cannot_be_read_has_one_problem(text, problem, tmp_path):
    assert told(tmp_path, text) == [problem]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "name: !!python/name:os.system x",
            "tag 'tag:yaml.org,2002:python/name:os.system' is refused: values are plain",
        ),
        ("name: !!str a", "tag 'tag:yaml.org,2002:str' is refused: values are plain"),
        ("name: !x a", "tag '!x' is refused: values are plain"),
        ("name: &x a", "anchor '&x' is refused: write the value where it is used"),
        ("seed: .inf", "'.inf' is not a finite number; put a text in quotes"),
        ("seed: 1e999", "'1e999' is not a finite number; put a text in quotes"),
    ],
)
def test_yaml_that_is_refused_is_told_with_its_place(line, problem):
    (found,) = read(line).problems
    assert found.at("p.yaml") == f"p.yaml:1:7 {line[:4]}: {problem}"


def test_a_key_that_stands_twice_is_told_and_the_first_one_counts():
    document = read("a:\n  b: 1\nc: 2\na:\n  b: 3\n")
    assert document.data == {"a": {"b": 1}, "c": 2}
    assert [problem.at("p.yaml") for problem in document.problems] == [
        "p.yaml:4:1 a: key stands twice; the first is on line 1"
    ]


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    content = "\ufeffname: Shop\r\n".encode()
    assert "pipeline.yaml:1:7 name: 'Shop' is not a name" in "\n".join(told(tmp_path, content))


def test_a_missing_file_and_a_folder_are_one_problem_each(tmp_path):
    missing = [problem.at("p.yaml") for problem in validate(tmp_path / "p.yaml")]
    folder = [problem.at("p.yaml") for problem in validate(tmp_path)]
    assert (missing, folder) == (["p.yaml: no such file"], ["p.yaml: is not a file"])
    assert [problem.message for problem in validate("a\0b")] == ["no such file"]
