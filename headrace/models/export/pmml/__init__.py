"""A model as PMML 4.4: lines, trees and rules, from raw feature columns to scores.

Source: the standard's pages on regression, tree and mining models, dmg.org/pmml/v4-4-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.export.listed import LISTED
from headrace.models.export.pmml.fields import Fields
from headrace.models.export.pmml.lines import line
from headrace.models.export.pmml.rules import ruled
from headrace.models.export.pmml.trees import chain
from headrace.models.export.trees import of_forest, of_histograms, of_lightgbm, of_xgboost

if TYPE_CHECKING:
    from headrace.models.model import Model

_LINES = (
    *("linear_regression", "ridge", "lasso", "elastic_net", "glm"),
    *("logistic_regression", "linear_svm", "lda"),
)
_TREES = {
    "decision_tree": of_forest,
    "random_forest": of_forest,
    "extra_trees": of_forest,
    "hist_gradient_boosting": of_histograms,
    "lightgbm": of_lightgbm,
    "xgboost": of_xgboost,
}
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
WRITTEN = (*_LINES, *_TREES, *LISTED)


def to_pmml(model: Model) -> bytes:
    """The content of a .pmml file; equal models give equal bytes.

    Inputs are the features under their names: texts as strings, all numbers, true and false as
    doubles. A text that training had not is as missing as a missing cell. Outputs are named as in
    tables of scores: `prediction`, and of classes `score`, the probability of true or of the class
    that is predicted; of several classes also `probability_<class>`.

    Raises:
        UsageError: The algorithm, or what calibration or costs make of it, is not written.
    """
    name = model.recipe.algorithm
    _check(model)
    fields = Fields(model)
    if name in _LINES:
        body = line(fields, model.estimator)
    elif name in _TREES:
        body = chain(fields, _TREES[name](model.estimator), present=_present(model))
    else:
        body = ruled(fields, model)
    root = Element("PMML", {"xmlns": "http://www.dmg.org/PMML-4_4", "version": "4.4"})
    told = f"{name} {model.digest} of {model.recipe.pipeline}"
    header = SubElement(root, "Header", {"description": told})
    SubElement(header, "Application", {"name": "Headrace"})
    root.append(fields.dictionary)
    if len(fields.derived):
        root.append(fields.derived)
    root.append(body)
    indent(root, " ")
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _check(model: Model) -> None:
    name = model.recipe.algorithm
    if name not in WRITTEN:
        message = f"{name} is not written as PMML"
        raise UsageError(message, hint=f"there are {', '.join(WRITTEN)}; `--to onnx` writes others")
    if name not in LISTED and (model.calibration is not None or model.rule is not None):
        message = "what calibration or costs of errors make of a model is not written as PMML"
        raise UsageError(message, hint="`--to onnx` writes it")
    if (
        isinstance(model.estimator, Mapping)
        and name != "best_lookup"
        and one_class(model.estimator)
    ):
        message = "a model of one class is not written as PMML"
        raise UsageError(message, hint="it says the same of every row")
    unsound = next((t for t in _texts(model) if _CONTROL.search(t)), None)
    if unsound is not None:
        message = f"the text {unsound!r} of a feature or class has no place in XML"
        raise UsageError(message, hint="mend it in `features`, or `--to onnx`")
    clash = sorted({"prediction", "score"} & {*model.encoding.names, model.recipe.target})
    if clash:
        message = f"a feature is named {clash[0]}, as an output"
        raise UsageError(message, hint="give the feature another name, and train again")


def _texts(model: Model) -> Iterator[str]:
    for column in model.encoding.columns:
        yield from column.categories
    yield from map(str, model.classes.labels)


def _present(model: Model) -> list[int]:
    """The classes that the outputs of trees are of: boosting has an output for each."""
    estimator: Any = model.estimator
    if isinstance(estimator, Mapping):
        return list(estimator["present"])
    return [] if model.classes.task is Task.REGRESSION else list(range(model.classes.count))
