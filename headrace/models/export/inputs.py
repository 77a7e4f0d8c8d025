"""From feature columns to the matrix: the encoding as operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.models.encoding import Column, Encoding, Kind
from headrace.models.export.graph import TREES, Graph, Value


def missing_text(encoding: Encoding) -> str:
    """The text that stands for null: the empty one, or the first longer one that is no category.

    A runtime has no null texts; any text that training had not is as missing as a null.
    """
    known = {text for column in encoding.columns for text in column.categories}
    text = ""
    while text in known:
        text += "?"
    return text


def matrix(g: Graph, encoding: Encoding) -> Value:
    """The matrix that `Encoding.matrix` gives, dense in either form; inputs have features' names.

    Args:
        g: The graph; texts (rows,) and doubles (rows,) come in, one per feature.
        encoding: Of the model.
    """
    null, cells = missing_text(encoding), []
    for column in encoding.columns:
        cell = _codes(g, column, null) if column.kind is Kind.CATEGORY else column.name
        cells.append(g.op("Unsqueeze", cell, np.array([1], dtype=np.int64)))
    codes = g.join(cells)
    return codes if encoding.form == "codes" else one_hot(g, encoding.columns, codes)


def _codes(g: Graph, column: Column, null: str) -> Value:
    from onnx import numpy_helper

    texts = np.array([*column.categories, null], dtype=object)
    codes = np.array([*range(len(column.categories)), np.nan])
    return g.op(
        "LabelEncoder",
        column.name,
        domain=TREES,
        keys_tensor=numpy_helper.from_array(texts, "keys"),
        values_tensor=numpy_helper.from_array(codes, "values"),
        default_tensor=numpy_helper.from_array(np.array([np.nan]), "default"),
    )


def one_hot(g: Graph, columns: Sequence[Column], codes: Value) -> Value:
    """As `encoding.one_hot`, but dense; a code beyond the categories is as missing.

    Numbers, categories and missing are made side by side, then put in the encoding's order.
    """
    numbers = [i for i, column in enumerate(columns) if column.kind is Kind.NUMBER]
    pairs = [
        (i, code) for i, column in enumerate(columns) for code in range(len(column.categories))
    ]
    missing = [i for i, column in enumerate(columns) if column.missing]
    parts = []
    if numbers:
        cells = g.columns(codes, numbers)
        mean, scale = (
            np.array([getattr(columns[i], name) for i in numbers]) for name in ("mean", "scale")
        )
        scaled = g.op("Div", g.op("Sub", cells, mean), scale)
        parts.append(g.where_missing(scaled, 0.0))
    if missing:
        cells = g.columns(codes, missing)
        most = np.array([len(columns[i].categories) or np.inf for i in missing])
        beyond = g.op("GreaterOrEqual", cells, most)
        parts.append(g.doubles(g.op("Or", g.op("IsNaN", cells), beyond)))
    parts += g.ones(codes, [], pairs)
    start = {"missing": len(numbers), "pairs": len(numbers) + len(missing)}
    order: list[int] = []
    for i, column in enumerate(columns):
        if column.kind is Kind.NUMBER:
            order.append(numbers.index(i))
        else:
            first = start["pairs"] + sum(len(each.categories) for each in columns[:i])
            order += range(first, first + len(column.categories))
        if column.missing:
            order.append(start["missing"] + missing.index(i))
    return g.columns(g.join(parts), order)
