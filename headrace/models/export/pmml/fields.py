"""What a PMML file says of its columns: inputs, columns made of them, outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement

from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Column, Kind

if TYPE_CHECKING:
    from headrace.models.model import Model

_LEAST = 1e-300  # stands for an exposure of 0, which has no logarithm


def number(value: float) -> str:
    """A double as text that reads back as the same."""
    return repr(float(value))


class Fields:
    """The columns of one file.

    Args:
        model: Whose features, target and classes they are.

    Attributes:
        columns: The features, in order.
        labels: The classes as texts; empty for a value.
        target: Name of the target.
        dictionary: Of inputs and target.
        derived: Of columns that are made of inputs; it grows as they are asked for.
    """

    def __init__(self, model: Model) -> None:
        classes = model.classes
        self.columns = model.encoding.columns
        self.target = model.recipe.target
        binary = classes.task is Task.BINARY
        self.labels = ["false", "true"] if binary else [str(each) for each in classes.labels]
        self._binary = binary
        whole = not binary and all(isinstance(each, int) for each in classes.labels)
        self._kind = "integer" if whole else "string"
        self.dictionary = self._dictionary()
        self.derived = Element("TransformationDictionary")
        self._names = {column.name for column in self.columns} | {self.target}
        self._made: dict[tuple[str, str], str] = {}

    @property
    def function(self) -> dict[str, str]:
        """What a model of these columns is for."""
        return {"functionName": "classification" if self.labels else "regression"}

    def schema(self, model: Element) -> None:
        """Adds the features, and the target, to a model."""
        schema = SubElement(model, "MiningSchema")
        for column in self.columns:
            odd = {"invalidValueTreatment": "asMissing"} if column.kind is Kind.CATEGORY else {}
            SubElement(schema, "MiningField", {"name": column.name, **odd})
        SubElement(schema, "MiningField", {"name": self.target, "usageType": "target"})

    def output(self, model: Element) -> None:
        """Adds the columns of a table of scores to a model."""
        output = SubElement(model, "Output")
        if not self.labels:
            told = {"optype": "continuous", "dataType": "double", "feature": "predictedValue"}
            SubElement(output, "OutputField", {"name": "prediction", **told})
            return
        told = {"optype": "categorical", "dataType": self._kind, "feature": "predictedValue"}
        SubElement(output, "OutputField", {"name": "prediction", **told})
        told = {"optype": "continuous", "dataType": "double", "feature": "probability"}
        of_true = {"value": "true"} if self._binary else {}
        SubElement(output, "OutputField", {"name": "score", **told, **of_true})
        for label in () if self._binary else self.labels:
            of = {"name": f"probability_{label}", "value": label}
            SubElement(output, "OutputField", {**of, **told})

    def scaled(self, column: Column) -> str:
        """A number, standardised; 0 where it is missing."""
        name, branch = self._where_missing(column, "scaled", "0")
        if branch is not None:
            away = _apply(_apply(branch, "/"), "-")
            SubElement(away, "FieldRef", {"field": column.name})
            _constant(away, column.mean)
            _constant(branch[-1], column.scale)
        return name

    def missing(self, column: Column) -> str:
        """1 where a cell is missing, else 0."""
        name, branch = self._where_missing(column, "missing", "1")
        if branch is not None:
            _constant(branch, 0)
        return name

    def logarithm(self, column: Column) -> str:
        """The logarithm of an exposure; of its mean in training, where it is missing."""
        name, field = self._new(column, "log")
        if field is not None:
            inside = _apply(_apply(field, "ln"), "max")
            branch = _if_missing(inside, column, number(column.mean))
            SubElement(branch, "FieldRef", {"field": column.name})
            _constant(inside, _LEAST)
        return name

    def free(self, name: str) -> str:
        """A name that no other column has."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def _dictionary(self) -> Element:
        found = Element("DataDictionary")
        for column in self.columns:
            texts = column.kind is Kind.CATEGORY
            kind = ("categorical", "string") if texts else ("continuous", "double")
            _field(found, column.name, kind, column.categories)
        kind = ("categorical", self._kind) if self.labels else ("continuous", "double")
        _field(found, self.target, kind, self.labels)
        return found

    def _new(self, column: Column, what: str) -> tuple[str, Element | None]:
        """The name of a derived column, and its element where it is not made yet."""
        if (column.name, what) in self._made:
            return self._made[column.name, what], None
        name = self._made[column.name, what] = self.free(f"{column.name}_{what}")
        told = {"name": name, "optype": "continuous", "dataType": "double"}
        return name, SubElement(self.derived, "DerivedField", told)

    def _where_missing(self, column: Column, what: str, then: str) -> tuple[str, Element | None]:
        name, field = self._new(column, what)
        return name, None if field is None else _if_missing(field, column, then)


def _field(parent: Element, name: str, kind: tuple[str, str], values: object) -> None:
    optype, data = kind
    found = SubElement(parent, "DataField", {"name": name, "optype": optype, "dataType": data})
    for value in values if isinstance(values, tuple | list) else ():
        SubElement(found, "Value", {"value": value})


def _apply(parent: Element, function: str) -> Element:
    return SubElement(parent, "Apply", {"function": function})


def _constant(parent: Element, value: float) -> None:
    SubElement(parent, "Constant", {"dataType": "double"}).text = number(value)


def _if_missing(parent: Element, column: Column, then: str) -> Element:
    """`if` with all but its last branch, which the caller adds to what is returned."""
    branch = _apply(parent, "if")
    SubElement(_apply(branch, "isMissing"), "FieldRef", {"field": column.name})
    SubElement(branch, "Constant", {"dataType": "double"}).text = then
    return branch
