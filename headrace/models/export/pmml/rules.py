"""A list of rules as one tree of PMML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from headrace.models.algorithms.rules.conditions import Condition
from headrace.models.encoding import Column
from headrace.models.export.listed import listed
from headrace.models.export.pmml.fields import Fields, number
from headrace.models.export.pmml.predicates import (
    among,
    compared,
    compound,
    either,
    known,
    missing,
)
from headrace.models.export.pmml.trees import tree_model

if TYPE_CHECKING:
    from headrace.models.model import Model


def ruled(fields: Fields, model: Model) -> Element:
    """The first rule that a row meets: the children of one node, asked in order.

    What calibration and costs make of it is in the numbers.
    """
    rules, predicted = listed(model)
    told = zip(predicted, model.decide(predicted), strict=True)
    *found, otherwise = (_Node(fields.labels, *each) for each in told)
    tree = tree_model(fields, fields.function)
    fields.output(tree)
    root = otherwise.below(tree, Element("True"))
    for rule, node in zip(rules["rules"], found, strict=True):
        node.below(root, _all(fields, rule["when"]))
    return tree


@dataclass(frozen=True)
class _Node:
    """What one rule says: the probability of true, of each class, or a value; and the decision."""

    labels: Sequence[str]
    predicted: Any  # a number, or one per class
    decided: Any  # a truth, a code of a class, or a value

    def below(self, parent: Element, predicate: Element) -> Element:
        """Adds the node to another."""
        node = SubElement(parent, "Node")
        node.append(predicate)
        if not self.labels:
            node.set("score", number(self.decided))
            return node
        node.set("score", self.labels[int(self.decided)])
        one = np.ndim(self.predicted) == 0
        shares = [1 - self.predicted, self.predicted] if one else list(self.predicted)
        for label, share in zip(self.labels, shares, strict=True):
            told = {"value": label, "recordCount": number(share), "probability": number(share)}
            SubElement(node, "ScoreDistribution", told)
        return node


def _all(fields: Fields, when: Sequence[Condition]) -> Element:
    found = [_met(fields.columns[column], test, value) for column, test, value in when]
    return compound("and", found)


def _met(column: Column, test: str, value: Any) -> Element:  # noqa: ANN401  # as a rule has it
    """As `conditions.holds`."""
    if test == "missing":
        return missing(column)
    if test == "in":
        listed = among(column, [code for code in value if code is not None])
        return either(missing(column) if None in value else None, listed)
    if test in {"<=", ">"}:
        return compared(column, "lessOrEqual" if test == "<=" else "greaterThan", value)
    low, high, or_missing, only_missing = value
    absent = missing(column) if or_missing else None
    if only_missing:
        return absent if absent is not None else Element("False")
    bounds = [
        *([compared(column, "greaterThan", low)] if low is not None else []),
        *([compared(column, "lessOrEqual", high)] if high is not None else []),
    ]
    return either(absent, compound("and", [known(column), *bounds]))
