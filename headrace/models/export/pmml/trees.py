"""Sums of trees as a chain of models of PMML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from headrace.models.encoding import Column, Kind
from headrace.models.export.pmml.fields import Fields, number
from headrace.models.export.pmml.lines import LINKS, tables
from headrace.models.export.pmml.predicates import among, compared, either, known, missing
from headrace.models.export.trees import AT_MOST, LESS, MEMBER, Tree, Trees

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats


def chain(fields: Fields, given: Trees, *, present: Sequence[int]) -> Element:
    """Sums of trees, one per output, then a regression on the sums."""
    model = Element("MiningModel", fields.function)
    fields.schema(model)
    fields.output(model)
    segments = SubElement(model, "Segmentation", {"multipleModelMethod": "modelChain"})
    two = given.link == "shares" and len(present) == 2  # noqa: PLR2004  # then one tells the other
    outputs = [1] if two else range(len(given.start))
    sums = {output: fields.free(f"sum_{output}") for output in outputs}
    for output, name in sums.items():
        _segment(segments).append(_sum(fields, given, output, name))
    last = SubElement(
        _segment(segments),
        "RegressionModel",
        {**fields.function, "normalizationMethod": LINKS[given.link]},
    )
    schema = SubElement(last, "MiningSchema")
    for name in sums.values():
        SubElement(schema, "MiningField", {"name": name})
    SubElement(schema, "MiningField", {"name": fields.target, "usageType": "target"})
    start = np.array([1.0, 0.0]) if two else given.start
    for output, table in tables(fields, last, start, present):
        is_rest = output not in sums
        told = {"name": sums[1 if is_rest else output], "coefficient": "-1" if is_rest else "1"}
        SubElement(table, "NumericPredictor", told)
    return model


def tree_model(fields: Fields, function: Mapping[str, str]) -> Element:
    """A tree without its nodes: no question is true of what is missing but whether it is."""
    how = {"missingValueStrategy": "none", "noTrueChildStrategy": "returnLastPrediction"}
    model = Element("TreeModel", {**function, **how})
    fields.schema(model)
    return model


def _segment(segments: Element) -> Element:
    found = SubElement(segments, "Segment", {"id": str(len(segments) + 1)})
    SubElement(found, "True")
    return found


def _sum(fields: Fields, given: Trees, output: int, name: str) -> Element:
    model = Element("MiningModel", {"functionName": "regression"})
    fields.schema(model)
    told = {"optype": "continuous", "dataType": "double", "feature": "predictedValue"}
    SubElement(SubElement(model, "Output"), "OutputField", {"name": name, **told})
    segments = SubElement(model, "Segmentation", {"multipleModelMethod": "sum"})
    for tree in given.trees:
        value = tree.value[:, output]
        if value.any():
            _segment(segments).append(_tree(fields, tree, value, singles=given.singles))
    if not len(segments):
        nothing = tree_model(fields, {"functionName": "regression"})
        SubElement(SubElement(nothing, "Node", {"score": "0"}), "True")
        _segment(segments).append(nothing)
    return model


def _tree(fields: Fields, tree: Tree, value: Floats, *, singles: bool) -> Element:
    """One tree; of two children the second takes all that the first does not."""
    model = tree_model(fields, {"functionName": "regression"})
    mode, threshold = _in_doubles(tree) if singles else (tree.mode, tree.threshold)
    waiting = [(0, model, Element("True"))]
    while waiting:
        place, parent, predicate = waiting.pop()
        node = SubElement(parent, "Node", {"score": number(value[place])})
        node.append(predicate)
        if tree.feature[place] < 0:
            continue
        column = fields.columns[tree.feature[place]]
        asked = _asked(column, tree, place, mode[place], threshold[place])
        # The last that is added is taken first, and so stands first.
        waiting.append((int(tree.false[place]), node, Element("True")))
        waiting.append((int(tree.true[place]), node, asked))
    return model


def _asked(column: Column, tree: Tree, place: int, mode: int, threshold: float) -> Element:
    """What takes a row to the first child."""
    absent = missing(column) if tree.missing_true[place] else None
    if column.kind is Kind.NUMBER:
        if np.isposinf(threshold):  # all that is known
            return either(absent, known(column))
        operator = "lessOrEqual" if mode == AT_MOST else "lessThan"
        return either(absent, compared(column, operator, threshold))
    codes = range(len(column.categories))
    if mode == MEMBER:
        chosen = [code for code in tree.members[place] if code < len(codes)]
    else:
        chosen = [c for c in codes if (c <= threshold if mode == AT_MOST else c < threshold)]
    return either(absent, among(column, chosen))


def _in_doubles(tree: Tree) -> tuple[Any, Floats]:
    """Comparisons of doubles that come out as those of cells rounded to single precision.

    A cell is at most a single where it is below the middle to the next one, or is that middle and
    rounds down.
    """
    single = tree.threshold.astype(np.float32)
    above = single.astype(np.float64) > tree.threshold
    under = np.nextafter(single, np.float32(-np.inf))
    less = tree.mode != AT_MOST
    # The greatest single that goes to the first child.
    last = np.where(above | (less & (single == tree.threshold)), under, single).astype(np.float32)
    middle = (last.astype(np.float64) + np.nextafter(last, np.float32(np.inf))) / 2
    mode = np.where(middle.astype(np.float32) == last, AT_MOST, LESS)
    held = tree.mode == MEMBER
    return np.where(held, MEMBER, mode), np.where(held, tree.threshold, middle)
