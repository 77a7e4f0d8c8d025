"""Native formats of fitted estimators: equal ones give equal bytes, and loading runs no code."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from headrace.errors import CorruptArtifact
from headrace.models.trees import check_booster, check_nodes, check_tree, check_trees
from headrace.models.zipped import unzipped, zipped

# What a skops file may hold, as (loader, type); anything else is refused before it is loaded.
_SKLEARN = (
    "ensemble._forest.ExtraTreesClassifier",
    "ensemble._forest.ExtraTreesRegressor",
    "ensemble._forest.RandomForestClassifier",
    "ensemble._forest.RandomForestRegressor",
    "ensemble._weight_boosting.AdaBoostClassifier",
    "ensemble._weight_boosting.AdaBoostRegressor",
    "tree._classes.DecisionTreeClassifier",
    "tree._classes.DecisionTreeRegressor",
    "tree._classes.ExtraTreeClassifier",
    "tree._classes.ExtraTreeRegressor",
)
_TREE = "sklearn.tree._tree.Tree"  # its nodes are checked when they are loaded
TRUSTED = frozenset(
    {
        ("DictNode", "builtins.dict"),
        ("JsonNode", "builtins.str"),
        ("ListNode", "builtins.list"),
        ("NdArrayNode", "numpy.int64"),
        ("NdArrayNode", "numpy.ndarray"),
        ("TreeNode", _TREE),
        ("TupleNode", "builtins.tuple"),
        ("TypeNode", "builtins.str"),
        *(("ObjectNode", f"sklearn.{name}") for name in _SKLEARN),
    }
)
_SCHEMA = "schema.json"
_ENSEMBLE = "ensemble.json"
_ARRAYS = ("coef", "intercept")  # of an ensemble; JSON keeps each number to the bit
_NPY = b"\x93NUMPY"  # how an array begins; numpy would open an archive, too


@dataclass(frozen=True)
class Format:
    """How an estimator becomes a file and back.

    Attributes:
        suffix: Of the file's name.
        dump: Estimator to bytes.
        load: Bytes to estimator, exactly as it was.
    """

    suffix: str
    dump: Callable[[Any], bytes]
    load: Callable[[bytes], Any]


def as_json(value: object) -> bytes:
    """JSON with sorted keys; a number that JSON does not know is an error."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False).encode()


def _dump_lightgbm(estimator: Any) -> bytes:  # noqa: ANN401  # lightgbm.Booster, loaded on use
    text: str = estimator.model_to_string()
    return text.encode()


def _load_lightgbm(data: bytes) -> Any:  # noqa: ANN401  # lightgbm.Booster, loaded on use
    import lightgbm

    text = data.decode()
    check_trees(text)
    return lightgbm.Booster(model_str=text)


def _dump_skops(estimator: Any) -> bytes:  # noqa: ANN401  # any estimator of scikit-learn
    """A skops file without what differs by run: addresses in memory and the time of day."""
    import skops.io

    members = unzipped(skops.io.dumps(estimator))
    schema = json.loads(members.pop(_SCHEMA))
    numbers: dict[int, int] = {}
    fresh = count(1)
    named: dict[str, bytes] = {}
    for node in _nodes(schema):
        # Texts and types are shared or not as the interpreter likes: each gets a number of its own.
        alone = node["__loader__"] in {"JsonNode", "TypeNode"}
        number = next(fresh) if alone else numbers.setdefault(node["__id__"], next(fresh))
        node["__id__"] = number
        if "file" in node:
            content = _without_gaps(members[node["file"]])
            node["file"] = f"{number}.npy"
            named[node["file"]] = content
    return zipped({**named, _SCHEMA: json.dumps(schema).encode()})


def _without_gaps(array: bytes) -> bytes:
    """An array's file; between the fields of records, such as a tree's nodes, stands 0."""
    import numpy as np

    held = np.load(io.BytesIO(array), allow_pickle=False)
    if held.dtype.names is None:
        return array
    clean = np.zeros(held.shape, held.dtype)
    for name in held.dtype.names:
        clean[name] = held[name]
    target = io.BytesIO()
    np.save(target, clean, allow_pickle=False)
    return target.getvalue()


def _load_skops(data: bytes) -> Any:  # noqa: ANN401  # any estimator of scikit-learn
    import skops.io

    members = unzipped(data)
    nodes = list(_nodes(json.loads(members.pop(_SCHEMA))))
    if any(array[:6] != _NPY for array in members.values()):
        message = "not a skops file of ours: a member is no array"
        raise ValueError(message)
    for node in nodes:
        found = (node["__loader__"], f"{node['__module__']}.{node['__class__']}")
        if found not in TRUSTED:
            message = (
                f"the model file holds a {found[1]}, which is not on the list of trusted types"
            )
            raise CorruptArtifact(
                message,
                hint="use only models that training has written; train again",
            )
    estimator = skops.io.loads(data, trusted=[_TREE]) if nodes else None
    if not isinstance(estimator, dict) or not {"task", "classes", "present"} <= estimator.keys():
        message = "the skops file holds no estimator"
        raise ValueError(message)
    _check_trees(estimator, features=0)
    for nodes in (nodes for trees in estimator.get("rounds", ()) for nodes in trees):
        check_nodes(nodes, features=estimator["columns"])
    return estimator


def _check_trees(value: Any, *, features: int) -> None:  # noqa: ANN401  # what skops loaded
    """Refuses a tree, wherever it is, that would be walked out of its nodes or columns."""
    if type(value).__name__ == "Tree":
        check_tree(value, features=features)
    elif isinstance(value, dict | list | tuple):
        for child in value.values() if isinstance(value, dict) else value:
            _check_trees(child, features=features)
    elif hasattr(value, "__dict__"):
        _check_trees(vars(value), features=int(getattr(value, "n_features_in_", features)))


def _dump_xgboost(estimator: Any) -> bytes:  # noqa: ANN401  # xgboost.Booster, loaded on use
    return bytes(estimator.save_raw("json"))


def _load_xgboost(data: bytes) -> Any:  # noqa: ANN401  # xgboost.Booster, loaded on use
    import xgboost

    check_booster(json.loads(data))
    return xgboost.Booster(model_file=bytearray(data))


def _dump_catboost(estimator: Any) -> bytes:  # noqa: ANN401  # catboost.CatBoost, loaded on use
    """CatBoost's own file, without its random name and the time of day."""
    told = estimator.get_metadata()
    for name in ("model_guid", "train_finish_time"):
        told[name] = ""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.cbm"
        estimator.save_model(str(file))
        # What was loaded saves its parts in an order that no longer changes.
        _load_catboost(file.read_bytes()).save_model(str(file))
        return file.read_bytes()


def _load_catboost(data: bytes) -> Any:  # noqa: ANN401  # catboost.CatBoost, loaded on use
    """CatBoost verifies the layout of its file by itself."""
    import catboost

    return catboost.CatBoost().load_model(blob=data)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # a JSON value
    """The nodes of a skops schema, each before its children; a node names its loader."""
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)


def _dump_arrays(estimator: dict[str, Any]) -> bytes:
    """Arrays as .npy, everything else as JSON, in a zip file without dates."""
    import numpy as np

    arrays = {name: each for name, each in estimator.items() if isinstance(each, np.ndarray)}
    rest = {name: each for name, each in estimator.items() if name not in arrays}
    members = {_SCHEMA: as_json(rest)}
    for name in sorted(arrays):
        content = io.BytesIO()
        np.save(content, arrays[name], allow_pickle=False)
        members[f"{name}.npy"] = content.getvalue()
    return zipped(members)


def _load_arrays(data: bytes) -> dict[str, Any]:
    import numpy as np

    members = unzipped(data)
    estimator: dict[str, Any] = json.loads(members.pop(_SCHEMA))
    for name, content in members.items():
        if content[:6] != _NPY:
            message = f"{name} is no array"
            raise ValueError(message)
        estimator[name.removesuffix(".npy")] = np.load(io.BytesIO(content), allow_pickle=False)
    return estimator


def _dump_preset(estimator: Any) -> bytes:  # noqa: ANN401  # preset.OfMatrix, loaded on use
    data: bytes = estimator.to_bytes()
    return data


def _load_preset(data: bytes) -> Any:  # noqa: ANN401  # preset.OfMatrix, loaded on use
    from headrace.models.presets.entry import OfMatrix

    return OfMatrix.from_bytes(data)


def _dump_ensemble(estimator: Any) -> bytes:  # noqa: ANN401  # a dict with `members`
    """A zip, nothing packed: a JSON of the whole, and each member in its own format."""
    from headrace.models.algorithms import named

    told = {name: value for name, value in estimator.items() if name != "members"}
    told |= {name: told[name].tolist() for name in _ARRAYS if name in told}
    told["members"] = [
        {name: member[name] for name in ("algorithm", "columns")} for member in estimator["members"]
    ]
    members = {_ENSEMBLE: as_json(told)}
    for number, member in enumerate(estimator["members"]):
        form = FORMATS[named(member["algorithm"]).save_as]
        members[str(number)] = form.dump(member["estimator"])
    return zipped(members)


def _load_ensemble(data: bytes) -> Any:  # noqa: ANN401  # a dict with `members`
    import numpy as np

    from headrace.models.algorithms import named

    files = unzipped(data)
    estimator = json.loads(files[_ENSEMBLE])
    for number, member in enumerate(estimator["members"]):
        form = FORMATS[named(member["algorithm"]).save_as]
        if form is FORMATS["ensemble"]:
            message = "an ensemble within an ensemble"
            raise ValueError(message)
        member["estimator"] = form.load(files[str(number)])
    for name in _ARRAYS:
        if name in estimator:
            estimator[name] = np.array(estimator[name], dtype=np.float64)
    return estimator


FORMATS = {
    "preset": Format(".zip", _dump_preset, _load_preset),
    "arrays": Format(".npz", _dump_arrays, _load_arrays),
    "catboost_cbm": Format(".cbm", _dump_catboost, _load_catboost),
    "ensemble": Format(".zip", _dump_ensemble, _load_ensemble),
    "json": Format(".json", as_json, json.loads),
    "lightgbm_text": Format(".txt", _dump_lightgbm, _load_lightgbm),
    "skops": Format(".skops", _dump_skops, _load_skops),
    "xgboost_json": Format(".json", _dump_xgboost, _load_xgboost),
}
