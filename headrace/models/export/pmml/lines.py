"""Coefficients and a link as a regression of PMML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement

from headrace.models.encoding import Kind, spans
from headrace.models.export.pmml.fields import Fields, number

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

LINKS = {"identity": "none", "shares": "none", "log": "exp", "exp": "exp", "softmax": "softmax"}


def line(fields: Fields, estimator: Mapping[str, Any]) -> Element:
    """Coefficients and a link."""
    coef, intercept, link = estimator["coef"], estimator["intercept"], estimator["link"]
    if link == "calibrated":  # margins, then a line of those
        slopes = estimator["calibration"]
        coef, intercept = coef @ slopes.T, intercept @ slopes.T + estimator["offset"]
        link = "softmax"
    model = Element("RegressionModel", {**fields.function, "normalizationMethod": LINKS[link]})
    fields.schema(model)
    fields.output(model)
    placed = list(zip(fields.columns, spans(fields.columns), strict=True))
    for output, table in tables(fields, model, intercept, estimator["present"]):
        if "exposure" in estimator:
            place = estimator["exposure"][0]
            exposed = next(column for column, span in placed if span.start == place)
            at = {"name": fields.logarithm(exposed), "coefficient": "1"}
            SubElement(table, "NumericPredictor", at)
        of_texts = []
        for column, span in placed:
            own = list(coef[span, output])
            if column.missing:
                at = {"name": fields.missing(column), "coefficient": number(own.pop())}
                SubElement(table, "NumericPredictor", at)
            if column.kind is Kind.NUMBER:
                at = {"name": fields.scaled(column), "coefficient": number(own[0])}
                SubElement(table, "NumericPredictor", at)
            of_texts += [(column.name, *pair) for pair in zip(column.categories, own, strict=False)]
        for name, text, value in of_texts:  # after all numbers, as the standard asks
            at = {"name": name, "value": text, "coefficient": number(value)}
            SubElement(table, "CategoricalPredictor", at)
    return model


def tables(
    fields: Fields, model: Element, intercept: Floats, present: Sequence[int]
) -> Iterator[tuple[int, Element]]:
    """A table of each output, with its place; of two classes the first has one that is 0."""
    labels = [fields.labels[place] for place in present] if fields.labels else []
    if labels and len(intercept) == 1:
        told = {"intercept": "0", "targetCategory": labels[0]}
        labels = labels[1:]
        SubElement(model, "RegressionTable", told)
    for output, value in enumerate(intercept):
        told = {"intercept": number(value)}
        if labels:
            told["targetCategory"] = labels[output]
        yield output, SubElement(model, "RegressionTable", told)
