"""Model folders made by someone who may write into the lake: refused by name, and no code runs."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import zipfile
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import xgboost
from lightgbm import Booster, Dataset, train
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from headrace.browse import OpenLake
from headrace.errors import CorruptArtifact, UsageError
from headrace.models import registry
from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Encoding
from headrace.models.formats import FORMATS
from headrace.models.model import Model, Recipe, digest_of, file_digests
from headrace.models.presets.bag import Bag, Member, Part
from headrace.models.presets.entry import OfMatrix
from headrace.models.presets.pool import Pool
from headrace.models.trees import check_trees

X = np.array([[n % 7, n % 5] for n in range(200)], dtype=np.float64)
Y = (X[:, 0] > 3).astype(np.float64)
ENCODING = Encoding.from_json({"form": "codes", "columns": []})
GENUINE = ("class_prior", "lightgbm", "decision_tree", "xgboost", "realmlp", "preset")
FILE = {
    "class_prior": "model.json",
    "lightgbm": "model.txt",
    "decision_tree": "model.skops",
    "xgboost": "model.json",
    "realmlp": "model.npz",
    "preset": "model.zip",
}


TOLD = {"task": "binary", "classes": 2, "present": [0, 1]}


class Payload:
    """Makes a folder where it is unpickled, and nothing worse."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.fixture(scope="module")
def estimators():
    parameters = {"objective": "binary", "verbosity": -1, "num_leaves": 4, "num_threads": 1}
    return {
        "class_prior": {"prior": 0.5},
        "lightgbm": train(parameters, Dataset(X, Y, categorical_feature=[1]), 3),
        "decision_tree": {**TOLD, "model": DecisionTreeClassifier(max_depth=3).fit(X, Y)},
        "xgboost": xgboost.train(
            {"objective": "binary:logistic"},
            xgboost.DMatrix(X, Y, feature_types=["q", "c"], enable_categorical=True),
            3,
        ),
        "realmlp": {"widths": [1], "w0": np.zeros((2, 1))},
        "preset": a_preset(),
    }


def a_preset():
    """A bag of one member, and the prior."""
    trees = train({"objective": "binary", "verbosity": -1, "num_leaves": 4}, Dataset(X, Y), 3)
    bag = Bag(
        task=Task.BINARY,
        members=(Member("lgb", "lightgbm"),),
        parts=(Part("lgb", "0.txt"),),
        pool=Pool(np.array([0.9, 0.1])),
        prior=(0.5, 0.5),
        range=(0.0, 1.0),
        files={"0.txt": trees.model_to_string().encode()},
    )
    return OfMatrix(ENCODING, bag)


@pytest.fixture
def files_of(estimators):
    def files(algorithm):
        recipe = Recipe("flights", "late", algorithm, {}, 7, "2013-12-01T10:00:00Z", "d", "s")
        return Model(recipe, ENCODING, estimators[algorithm]).files()

    return files


@pytest.fixture
def plant(lake):
    """Puts files into the lake as a model whose name and record agree with them."""

    def planted(files, **record):
        digests = file_digests(files)
        name = digest_of(digests)
        folder = lake.models("flights") / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        try:
            recipe = json.loads(files["recipe.json"])
        except (ValueError, KeyError, RecursionError):
            recipe = {}
        told = {"model": name, "files": digests, "recipe": recipe, **record}
        (folder / "record.json").write_text(json.dumps(told))
        return name

    return planted


@pytest.fixture
def marker(tmp_path):
    """What a payload would make; a test that asks for it fails if it is there at the end."""
    path = tmp_path / "marker"
    yield str(path)
    assert not path.exists(), "the payload ran"


def refused(lake, name, *, told, pipeline="flights"):
    with pytest.raises(CorruptArtifact) as caught:
        OpenLake(lake.root).model(pipeline, name)
    assert re.search(told, str(caught.value)), str(caught.value)
    assert caught.value.hint


def zipped(members, *, packed=False):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED if packed else 0) as file:
        for name, content in members:
            file.writestr(name, content)
    return target.getvalue()


def members_of(skops_file):
    with zipfile.ZipFile(io.BytesIO(skops_file)) as file:
        return [(name, file.read(name)) for name in file.namelist()]


def with_schema(skops_file, change):
    """A skops file with its schema changed."""
    return zipped(
        (
            name,
            json.dumps(change(json.loads(content))).encode() if name == "schema.json" else content,
        )
        for name, content in members_of(skops_file)
    )


def dumped(dump, value):
    target = io.BytesIO()
    dump(value, target)
    return target.getvalue()


@pytest.mark.parametrize("algorithm", GENUINE)
def test_an_honest_model_of_each_format_is_loaded(lake, files_of, plant, algorithm):
    name = plant(files_of(algorithm))
    loaded = OpenLake(lake.root).model("flights", name)
    assert loaded.recipe.algorithm == algorithm


def test_the_payload_does_run_where_it_is_unpickled(tmp_path):
    path = tmp_path / "marker"
    pickle.loads(pickle.dumps(Payload(str(path))))  # noqa: S301 - our own bytes
    assert path.exists()


PICKLED = {
    "pickle": pickle.dumps,
    "pickle of protocol 0, which is text": lambda value: pickle.dumps(value, protocol=0),
    "cloudpickle": cloudpickle.dumps,
    "joblib": lambda value: dumped(joblib.dump, value),
    "joblib, compressed": lambda value: dumped(
        lambda what, where: joblib.dump(what, where, compress=3), value
    ),
    "pickle in gz": lambda value: gzip.compress(pickle.dumps(value)),
    "pickle in zip": lambda value: zipped([("model.pkl", pickle.dumps(value))]),
    "pickle as the schema": lambda value: zipped([("schema.json", pickle.dumps(value))]),
    "object array": lambda value: dumped(
        lambda what, where: np.save(where, np.array([what], dtype=object), allow_pickle=True),
        value,
    ),
}


@pytest.mark.parametrize("algorithm", GENUINE)
@pytest.mark.parametrize("kind", PICKLED)
def test_a_pickle_under_the_name_that_is_expected_is_refused(
    lake, files_of, plant, marker, kind, algorithm
):
    files = {**files_of(algorithm), FILE[algorithm]: PICKLED[kind](Payload(marker))}
    refused(lake, plant(files), told="not the files of a model|not on the list|no fitted model")


@pytest.mark.parametrize("file", ["encoding.json", "recipe.json"])
def test_a_pickle_in_place_of_another_file_is_refused(lake, files_of, plant, marker, file):
    files = {**files_of("class_prior"), file: pickle.dumps(Payload(marker))}
    refused(lake, plant(files), told="not the files of a model")


@pytest.mark.parametrize(
    "file", ["model.pkl", "model.joblib", "model.onnx", "model.bin", "record.json", "__init__.py"]
)
def test_a_file_of_no_format_of_ours_is_refused_by_its_name(lake, files_of, plant, marker, file):
    # ONNX with outside data too: no code of ours loads ONNX.
    content = b"\x08\x08\x12\x04onnx location: /etc/passwd" + pickle.dumps(Payload(marker))
    files = {**files_of("class_prior"), file: content}
    refused(lake, plant(files), told=re.escape(f"'{file}' is of no format"))


def array_of(content):
    """A genuine skops file in which an array is other bytes."""

    def changed(skops_file):
        return zipped(
            (name, content if name.endswith(".npy") else kept)
            for name, kept in members_of(skops_file)
        )

    return changed


def root(**changes):
    return lambda skops_file: with_schema(skops_file, lambda schema: {**schema, **changes})


NPY = b"\x93NUMPY\x01\x00\x76\x00"
SKOPS = {
    "an untrusted type": lambda _: skops.io.dumps(KNeighborsClassifier().fit(X, Y)),
    "a trusted type alone": lambda _: skops.io.dumps(DecisionTreeClassifier().fit(X, Y)),
    "a function": lambda _: skops.io.dumps({"f": np.sum}),
    "a method": lambda _: skops.io.dumps({"f": LogisticRegression().fit}),
    "os.system for the estimator": root(__module__="os", __class__="system"),
    "posix.system": root(__module__="posix", __class__="system"),
    "a class of ours": root(__module__="headrace.lake", __class__="Lake"),
    "another loader": root(__loader__="MethodNode"),
    "a loader that is not known": root(__loader__="Shell"),
    "a trusted loader with a module of its own": root(__module__="builtins", __class__="eval"),
    "another cut of the name": root(
        __module__="sklearn.linear_model", __class__="_logistic.LogisticRegression"
    ),
    "a trusted list in the file": root(trusted=["os.system"], __module__="os", __class__="system"),
    "an older protocol": root(protocol=0, __loader__="FunctionNode"),
    "no estimator": lambda _: skops.io.dumps({"C": 1}),
    "no schema": lambda _: zipped([("0.npy", b"")]),
    "the schema twice": lambda data: zipped([*members_of(data), ("schema.json", b"{}")]),
    "a zip bomb": lambda _: zipped([("schema.json", b" " * 10**8)], packed=True),
    "a schema too deep": lambda _: zipped([("schema.json", b'{"a":' * 10**5)]),
    "a huge header": array_of(
        NPY
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}".ljust(117)
        + b"\n"
    ),
    "a header that is code": array_of(NPY + b"__import__('os').mkdir('x')".ljust(117) + b"\n"),
    "an object array": array_of(
        dumped(lambda v, w: np.save(w, v, allow_pickle=True), np.array([Path("x")], dtype=object))
    ),
    "another zip for an array": array_of(zipped([("schema.json", b"{}")])),
    "cut": lambda data: data[: len(data) // 2],
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", SKOPS)
def test_a_hostile_skops_file_is_refused(lake, files_of, plant, kind):
    files = files_of("decision_tree")
    files["model.skops"] = SKOPS[kind](files["model.skops"])
    refused(lake, plant(files), told="not the files of a model|not on the list of trusted types")


ARRAYS = {
    name: change
    for name, change in SKOPS.items()
    if name not in {"an untrusted type", "another loader"} and "array" in name
} | {
    "the schema twice": SKOPS["the schema twice"],
    "a zip bomb": SKOPS["a zip bomb"],
    "no schema": SKOPS["no schema"],
    "a huge header": SKOPS["a huge header"],
    "cut": SKOPS["cut"],
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ARRAYS)
def test_a_hostile_file_of_arrays_is_refused(lake, files_of, plant, kind):
    files = files_of("realmlp")
    files["model.npz"] = ARRAYS[kind](files["model.npz"])
    refused(lake, plant(files), told="not the files of a model")


def manifest_of(**changes):
    """A preset's file whose bag tells something else."""

    def changed(data):
        outer = dict(members_of(data))
        inner = dict(members_of(outer["bag.zip"]))
        inner["manifest.json"] = json.dumps(
            {**json.loads(inner["manifest.json"]), **changes}
        ).encode()
        return zipped({**outer, "bag.zip": zipped(inner.items())}.items())

    return changed


def with_trees(change):
    def changed(data):
        outer = dict(members_of(data))
        inner = dict(members_of(outer["bag.zip"]))
        inner["0.txt"] = change(inner["0.txt"].decode()).encode()
        return zipped({**outer, "bag.zip": zipped(inner.items())}.items())

    return changed


BAGS = {
    "no manifest": manifest_of(members=None),
    "an algorithm that is not known": manifest_of(members=[{"name": "lgb", "algorithm": "os"}]),
    "a part that is not there": manifest_of(parts=[{"member": "lgb", "file": "../../x"}]),
    "hostile trees": with_trees(lambda text: text.replace("left_child=", "left_child=9", 1)),
    "a zip bomb": lambda _: zipped([("manifest.json", b" " * 10**8)], packed=True),
    "cut": lambda data: data[: len(data) // 2],
}


@pytest.mark.parametrize("kind", BAGS)
def test_a_hostile_preset_is_refused(lake, files_of, plant, kind):
    files = files_of("preset")
    files["model.zip"] = BAGS[kind](files["model.zip"])
    refused(lake, plant(files), told="no fitted model|no bag of models|no algorithm|not the files")


def test_what_a_record_calls_trusted_is_not(lake, files_of, plant):
    files = files_of("decision_tree")
    files["model.skops"] = skops.io.dumps(KNeighborsClassifier().fit(X, Y))
    foreign = "sklearn.tree._classes.DecisionTreeClassifier"
    name = plant(files, trusted=[foreign], format="skops", estimator="os.system")
    refused(lake, name, told="KNeighborsClassifier, which is not on the list")


def edited(pattern, text):
    return lambda model: re.sub(pattern, text, model, count=1, flags=re.MULTILINE)


# LightGBM's own parser ends the process on most of these: a write outside of an array, or an abort.
TREES = {
    "nothing": lambda _: "",
    "words": lambda _: "cos\nsystem\n(S'true'\ntR.",
    "cut": lambda model: model[: len(model) // 2],
    "cut after the trees": lambda model: model[: model.index("end of trees")],
    "two billion leaves": edited(r"num_leaves=\d+", "num_leaves=2000000000"),
    "less than no leaves": edited(r"num_leaves=\d+", "num_leaves=-5"),
    "a billion classes": edited("num_class=1", "num_class=1000000000"),
    "two billion features": edited(r"max_feature_idx=\d+", "max_feature_idx=2000000000"),
    "a child outside": edited("left_child=-?[0-9]+", "left_child=1000000"),
    "a child that is its own": edited("left_child=-?[0-9]+", "left_child=0"),
    "a leaf twice": edited("right_child=.*", "right_child=-1 -1 -1"),
    "a feature outside": edited("split_feature=[0-9]+", "split_feature=99999999"),
    "sizes that lie": edited("tree_sizes=[0-9]+", "tree_sizes=99999999999"),
    "sizes less than nothing": edited("tree_sizes=[0-9]+", "tree_sizes=-1"),
    "categories that are not there": edited("num_cat=[0-9]+", "num_cat=3"),
    "a linear tree": edited("is_linear=0", "is_linear=1"),
    "another objective": edited("objective=.*", "objective=/etc/passwd"),
    "a number of Python's": edited("split_feature=[0-9]+", "split_feature=0_0"),
    "a key twice": edited("^shrinkage=1$", "shrinkage=1\nnum_leaves=9"),
    "a parameter that is none": edited(r"^\[boosting: gbdt\]", "[boosting: [[[gbdt"),
    "categories of pandas": edited("pandas_categorical:null", "pandas_categorical:[[1]]"),
    "another line": edited("^end of parameters", "extra\nend of parameters"),
}


def same_size(model):
    """The sizes of its trees as they now are, so that an edit is not found by them alone."""
    trees = re.split(r"(?=^Tree=|^end of trees)", model, flags=re.MULTILINE)[1:-1]
    sizes = " ".join(str(len(tree)) for tree in trees)
    return re.sub("(?<=tree_sizes=)[0-9 ]*", sizes, model, count=1)


@pytest.mark.parametrize("kind", TREES)
def test_hostile_trees_are_refused_before_the_library_reads_them(lake, files_of, plant, kind):
    files = files_of("lightgbm")
    genuine = files["model.txt"].decode()
    changed = TREES[kind](genuine)
    assert changed != genuine
    files["model.txt"] = changed.encode()
    refused(lake, plant(files), told="not a LightGBM model: ")
    if "end of trees" in changed and "sizes" not in kind:
        with pytest.raises(ValueError, match="not a LightGBM model: "):
            check_trees(same_size(changed))


@pytest.mark.parametrize("leaves", [2, 31])
@pytest.mark.parametrize("categories", [[], [1]])
def test_trees_that_lightgbm_wrote_are_taken(leaves, categories):
    given = {"objective": "binary", "verbosity": -1, "num_leaves": leaves, "min_data_in_leaf": 1}
    for rows in (X, X * np.nan, X[:4]):
        data = Dataset(rows, Y[: len(rows)] + 0, categorical_feature=categories)
        text = train(given, data, 5).model_to_string()
        check_trees(text)
        check_trees(Booster(model_str=text).model_to_string())


def nodes(**changes):
    """A tree of scikit-learn with some of its first node changed."""

    def changed(estimator):
        tree = estimator["model"].tree_
        state = tree.__getstate__()
        bent = state["nodes"].copy()
        for name, value in changes.items():
            bent[name][0] = value
        estimator["model"].tree_ = Tree(2, np.array([2]), 1)
        estimator["model"].tree_.__setstate__({**state, "nodes": bent})
        return FORMATS["skops"].dump(estimator)

    return changed


def fewer_columns(estimator):
    estimator["model"].n_features_in_ = 1
    return FORMATS["skops"].dump(estimator)


NODES = {
    "a child outside": nodes(left_child=10**6),
    "a child that is its own": nodes(left_child=0),
    "a child twice": nodes(right_child=1),
    "half a leaf": nodes(left_child=-1),
    "a feature outside": nodes(feature=2),
    "a feature before the first": nodes(feature=-1),
    "fewer columns than its nodes ask": fewer_columns,
}


@pytest.mark.parametrize("kind", NODES)
def test_a_tree_of_scikit_learn_that_leaves_its_nodes_is_refused(lake, files_of, plant, kind):
    files = files_of("decision_tree")
    estimator = {**TOLD, "model": DecisionTreeClassifier(max_depth=3).fit(X, 1 - Y * (X[:, 1] > 2))}
    files["model.skops"] = NODES[kind](estimator)
    refused(lake, plant(files), told="not a scikit-learn tree model")


def tree_of(model):
    return model["learner"]["gradient_booster"]["model"]["trees"][0]


BOOSTERS = {
    "a child outside": lambda m: tree_of(m)["left_children"].__setitem__(0, 10**6),
    "a child that is its own": lambda m: tree_of(m)["left_children"].__setitem__(0, 0),
    "a feature outside": lambda m: tree_of(m)["split_indices"].__setitem__(0, 99),
    "fewer thresholds": lambda m: tree_of(m)["split_conditions"].pop(),
    "more nodes": lambda m: tree_of(m)["tree_param"].update(num_nodes="99"),
    "texts for numbers": lambda m: tree_of(m).update(parents=["0"] * len(tree_of(m)["parents"])),
    "a category where there are none": lambda m: tree_of(m)["categories_nodes"].append(0),
    "a tree of no class": lambda m: m["learner"]["gradient_booster"]["model"][
        "tree_info"
    ].__setitem__(0, 7),
    "a tree fewer": lambda m: m["learner"]["gradient_booster"]["model"]["trees"].pop(),
    "another booster": lambda m: m["learner"]["gradient_booster"].update(name="gblinear"),
    "no features": lambda m: m["learner"]["learner_model_param"].update(num_feature="0"),
    "no learner": lambda m: m.pop("learner"),
}


@pytest.mark.parametrize("kind", BOOSTERS)
def test_a_hostile_booster_is_refused_before_the_library_reads_it(lake, files_of, plant, kind):
    files = files_of("xgboost")
    model = json.loads(files["model.json"])
    BOOSTERS[kind](model)
    files["model.json"] = json.dumps(model).encode()
    refused(lake, plant(files), told="not an XGBoost model|not the files of a model")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("leaf_features=[0-9]+", "leaf_features=99"),
        ("leaf_features=[0-9]+ ", "leaf_features="),
        ("^num_features=[0-9]+", "num_features=999999"),
        ("leaf_const=[^ ]+ ", "leaf_const="),
        ("leaf_coeff=[^ ]+ ", "leaf_coeff="),
    ],
)
def test_hostile_linear_leaves_are_refused(pattern, text):
    given = {"objective": "regression", "verbosity": -1, "linear_tree": True, "num_threads": 1}
    genuine = train(given, Dataset(X + 0.1 * X[:, [1, 0]], Y), 3).model_to_string()
    check_trees(genuine)
    changed = re.sub(pattern, text, genuine, count=1, flags=re.MULTILINE)
    assert changed != genuine
    with pytest.raises(ValueError, match="not a LightGBM model: "):
        check_trees(same_size(changed))


HOSTILE_JSON = {
    "too deep": b"[" * 10**5,
    "a number too long": b"1" * 10**5,
    "a list": b"[]",
    "a text": b'"os.system"',
    "NUL": b"\0" * 100,
}


@pytest.mark.parametrize("file", ["encoding.json", "recipe.json"])
@pytest.mark.parametrize("kind", HOSTILE_JSON)
def test_hostile_json_is_refused(lake, files_of, plant, file, kind):
    files = {**files_of("class_prior"), file: HOSTILE_JSON[kind]}
    refused(lake, plant(files), told="not the files of a model")


@pytest.mark.parametrize("algorithm", ["os.system", "pickle", "onnx", "../lightgbm", "", ["x"]])
def test_an_algorithm_that_is_not_in_the_catalogue_is_never_looked_up_elsewhere(
    lake, files_of, plant, algorithm
):
    files = files_of("class_prior")
    recipe = {**json.loads(files["recipe.json"]), "algorithm": algorithm}
    files["recipe.json"] = json.dumps(recipe).encode()
    name = plant(files)
    with pytest.raises((UsageError, CorruptArtifact), match=r"no algorithm|not the files"):
        OpenLake(lake.root).model("flights", name)


@pytest.mark.parametrize("algorithm", GENUINE)
def test_each_changed_byte_is_found(lake, files_of, plant, algorithm):
    files = files_of(algorithm)
    name = plant(files)
    for file, content in files.items():
        path = lake.models("flights") / name / file
        for place in np.linspace(0, len(content) - 1, 5).astype(int):
            changed = bytearray(content)
            changed[place] ^= 0x10
            path.write_bytes(changed)
            refused(lake, name, told=re.escape(f"{file}: the content is not what its digest says"))
        path.write_bytes(content)
    assert OpenLake(lake.root).model("flights", name)


@pytest.mark.parametrize(
    "file", ["../model.json", "../../../secret", "/etc/passwd", "..", ".", "", "a/b", "a\0b"]
)
def test_a_record_that_names_a_file_elsewhere_is_refused(lake, files_of, plant, file):
    (lake.root.parent / "secret").write_text("secret")
    name = plant(files_of("class_prior"))
    path = lake.models("flights") / name / "record.json"
    told = json.loads(path.read_text())
    told["files"][file] = told["files"]["model.json"]
    path.write_text(json.dumps(told))
    refused(lake, name, told="is of no format that a model is kept in")


@pytest.mark.parametrize("file", ["record.json", "model.json"])
@pytest.mark.parametrize("kind", ["link", "link to itself", "pipe", "folder", "sparse"])
def test_what_is_no_plain_file_of_a_models_size_is_never_read(
    lake, files_of, plant, tmp_path, file, kind
):
    name = plant(files_of("class_prior"))
    path = lake.models("flights") / name / file
    outside = tmp_path / "outside"
    path.rename(outside)
    if kind == "link":  # even where what it names has the right digest
        path.symlink_to(outside)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as made:
            made.truncate(2**40)
    told = f"{file} is a link|{file} is no plain file|{file} is larger than|cannot be read"
    if kind == "link to itself" and file == "record.json":
        with pytest.raises(UsageError, match="no model"):
            OpenLake(lake.root).model("flights", name)
    else:
        refused(lake, name, told=told)


FORGED = {
    "a digest": lambda told: told["files"].update({"model.json": "0" * 64}),
    "a digest that is no text": lambda told: told["files"].update({"model.json": {}}),
    "another model": lambda told: told.update(model="0" * 32),
    "no model": lambda told: told.pop("model"),
    "a list of files": lambda told: told.update(files=["model.json"]),
    "no files": lambda told: told.update(files={}),
    "another recipe": lambda told: told["recipe"].update(algorithm="lightgbm"),
    "a recipe of another day": lambda told: told["recipe"].update(moment="2099-01-01"),
    "no recipe": lambda told: told.pop("recipe"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_record_is_refused(lake, files_of, plant, kind):
    name = plant(files_of("class_prior"))
    path = lake.models("flights") / name / "record.json"
    told = json.loads(path.read_text())
    FORGED[kind](told)
    path.write_text(json.dumps(told))
    refused(lake, name, told=r"record|model\.json|not what its digest says")


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 10**5, b"\x80\x04.", b"null", b'{"a":1}'])
def test_a_record_that_is_none_is_refused(lake, files_of, plant, content):
    name = plant(files_of("class_prior"))
    (lake.models("flights") / name / "record.json").write_bytes(content)
    refused(lake, name, told="the record cannot be read")


def test_a_model_of_another_pipeline_is_refused(lake, files_of, plant):
    name = plant(files_of("class_prior"))
    lake.models("flights").rename(lake.models("trains"))
    refused(lake, name, told="not of this pipeline", pipeline="trains")


@pytest.mark.parametrize(
    "pipeline", ["../outside", "..", "/", "{root}/../outside", "flights/../../../outside", "a\0b"]
)
def test_a_model_outside_of_the_lake_is_never_found(lake, files_of, plant, pipeline):
    name = plant(files_of("class_prior"))
    lake.models("flights").rename(lake.root.parent / "outside")
    assert (lake.root.parent / "outside" / name / "record.json").exists()
    with pytest.raises(UsageError, match=f"no model '{name}'"):
        OpenLake(lake.root).model(pipeline.format(root=lake.root), name)


@pytest.mark.parametrize("name", ["", "..", "../" * 5 + "etc", "A" * 32, "a" * 33, "a" * 31 + "\n"])
def test_a_name_that_is_no_digest_is_no_model(lake, files_of, plant, name):
    plant(files_of("class_prior"))
    with pytest.raises(UsageError, match="no model"):
        registry.load(lake, "flights", name)


def test_every_format_is_attacked_here():
    # CatBoost reads its own file unchecked: its entry says to load it from a trusted lake alone.
    # An ensemble's file is JSON and files of members, each read as by itself.
    apart = {"catboost_cbm", "ensemble"}
    suffixes = {form.suffix for name, form in FORMATS.items() if name not in apart}
    assert {f"model{suffix}" for suffix in suffixes} == set(FILE.values())
