"""Native formats of fitted estimators: equal ones give equal bytes, and loading runs no code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from headrace.errors import CorruptArtifact
from headrace.models.trees import check_trees

# What a skops file may hold, as (loader, type); anything else is refused before it is loaded.
TRUSTED = frozenset(
    {
        ("DictNode", "builtins.dict"),
        ("JsonNode", "builtins.str"),
        ("ListNode", "builtins.list"),
        ("NdArrayNode", "numpy.ndarray"),
        ("ObjectNode", "sklearn.linear_model._logistic.LogisticRegression"),
        ("TypeNode", "builtins.str"),
    }
)
_SCHEMA = "schema.json"
_NPY = b"\x93NUMPY"  # how an array begins; numpy would open an archive, too
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the least that a zip file can say


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

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as file:
        members = {name: file.read(name) for name in file.namelist()}
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
            content = members[node["file"]]
            node["file"] = f"{number}.npy"
            named[node["file"]] = content
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in [*named.items(), (_SCHEMA, json.dumps(schema).encode())]:
            file.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return target.getvalue()


def _load_skops(data: bytes) -> Any:  # noqa: ANN401  # any estimator of scikit-learn
    import skops.io

    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = file.infolist()
        names = {member.filename for member in members}
        # Stored as they are, so that no small file unpacks to a large one.
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        arrays = (file.read(name) for name in names - {_SCHEMA})
        if packed or len(names) != len(members) or any(a[:6] != _NPY for a in arrays):
            message = "not a skops file of ours: members packed, doubled or no arrays"
            raise ValueError(message)
        nodes = list(_nodes(json.loads(file.read(_SCHEMA))))
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
    if not nodes or nodes[0]["__loader__"] != "ObjectNode":
        message = "the skops file holds no estimator"
        raise ValueError(message)
    return skops.io.loads(data, trusted=[])


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
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), as_json(rest))
        for name in sorted(arrays):
            content = io.BytesIO()
            np.save(content, arrays[name], allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue())
    return target.getvalue()


def _load_arrays(data: bytes) -> dict[str, Any]:
    import numpy as np

    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = file.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            message = "its members are packed"  # a small file could unpack to a large one
            raise ValueError(message)
        estimator: dict[str, Any] = json.loads(file.read(_SCHEMA))
        for name in sorted(member.filename for member in members):
            if name != _SCHEMA:
                content = io.BytesIO(file.read(name))
                estimator[name.removesuffix(".npy")] = np.load(content, allow_pickle=False)
    return estimator


FORMATS = {
    "arrays": Format(".npz", _dump_arrays, _load_arrays),
    "json": Format(".json", as_json, json.loads),
    "lightgbm_text": Format(".txt", _dump_lightgbm, _load_lightgbm),
    "skops": Format(".skops", _dump_skops, _load_skops),
}
