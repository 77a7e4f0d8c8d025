"""Questions that PMML asks of a row."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from headrace.models.encoding import Column
from headrace.models.export.pmml.fields import number


def known(column: Column) -> Element:
    """Whether a cell has a value."""
    return Element("SimplePredicate", {"field": column.name, "operator": "isNotMissing"})


def missing(column: Column) -> Element:
    """Whether it has none."""
    return Element("SimplePredicate", {"field": column.name, "operator": "isMissing"})


def compared(column: Column, operator: str, value: float) -> Element:
    """How a number compares; false of a missing one."""
    told = {"field": column.name, "operator": operator, "value": number(value)}
    return Element("SimplePredicate", told)


def among(column: Column, codes: Sequence[float]) -> Element:
    """Whether a cell is one of some categories; false of a missing one."""
    texts = [column.categories[int(code)] for code in codes]
    if not texts:
        return Element("False")
    if any(mark in text for text in texts for mark in '"\\'):  # evaluators read an array unlike
        told = {"field": column.name, "operator": "equal"}
        return compound("or", [Element("SimplePredicate", {**told, "value": t}) for t in texts])
    found = Element("SimpleSetPredicate", {"field": column.name, "booleanOperator": "isIn"})
    array = SubElement(found, "Array", {"type": "string", "n": str(len(codes))})
    array.text = " ".join(f'"{text}"' for text in texts)
    return found


def either(first: Element | None, second: Element) -> Element:
    """One or the other; the second alone where there is no first."""
    return second if first is None else compound("or", [first, second])


def compound(operator: str, parts: Sequence[Element]) -> Element:
    """Several questions as one, by `and` or `or`."""
    if len(parts) == 1:
        return parts[0]
    found = Element("CompoundPredicate", {"booleanOperator": operator})
    found.extend(parts)
    return found
