"""A fitted model: estimator and encoding together, as files and back; `registry` keeps them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import digest
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Algorithm, Task
from headrace.models.calibration import Calibration
from headrace.models.decision import Decided, Rule, decided, rule_from_json
from headrace.models.encoding import Encoding, refusals
from headrace.models.formats import FORMATS, as_json
from headrace.models.target import Classes

if TYPE_CHECKING:
    import pandas as pd

    from headrace.evaluation.metrics import Floats

_ENCODING, _RECIPE, _CLASSES = "encoding.json", "recipe.json", "classes.json"
_CALIBRATION, _DECISION = "calibration.json", "decision.json"


@dataclass(frozen=True)
class Recipe:
    """What a model is made of; part of its digest.

    Attributes:
        pipeline: The pipeline it belongs to.
        target: What it predicts.
        algorithm: A name of the catalogue.
        parameters: Given to the final fit, JSON values.
        seed: Given to the final fit.
        moment: Training moment: what was known then is what it learned from; ISO, UTC.
        data: Digest of the fingerprints of the intervals it learned from.
        spec: Digest of the pipeline file's content.
    """

    pipeline: str
    target: str
    algorithm: str
    parameters: Mapping[str, Any]  # JSON values
    seed: int
    moment: str
    data: str
    spec: str


@dataclass(frozen=True)
class Model:
    """A fitted model that can predict.

    Attributes:
        recipe: What it is made of.
        encoding: From feature columns to its matrix.
        estimator: The fitted estimator.
        classes: What it predicts.
        record: What `record.json` tells of it; empty before it is stored.
        calibration: What corrects its probabilities; None where they are the estimator's own.
        rule: What it decides given the costs of errors; None where none were declared.
    """

    recipe: Recipe
    encoding: Encoding
    estimator: Any  # the library's own class
    classes: Classes = field(default_factory=Classes)
    record: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    rule: Rule | None = None

    @property
    def algorithm(self) -> Algorithm:
        """The entry of the catalogue."""
        return named(self.recipe.algorithm)

    @property
    def signature(self) -> dict[str, str]:
        """Feature to the Arrow type it had in training."""
        return {column.name: column.type for column in self.encoding.columns}

    def predict(self, rows: pa.Table | pd.DataFrame) -> Floats:
        """What is predicted of each row, the same for a row whatever rows are beside it.

        Args:
            rows: Rows that hold the features; other columns are left alone.

        Returns:
            The probability of true per row; or the value; or rows by classes, a probability each,
            in the order of `classes.labels`.

        Raises:
            UsageError: A feature is missing, of another kind than in training, or infinite.
        """
        table = rows if isinstance(rows, pa.Table) else _from_pandas(rows, self.encoding.names)
        if table.num_rows == 0:
            self.encoding.matrix(table)
            shape = (0, self.classes.count) if self.classes.task is Task.MULTICLASS else (0,)
            return np.empty(shape)
        matrix = self.encoding.matrix(table)
        reasons = refusals(table, self.encoding.names)
        if reasons.null_count < len(reasons):
            row = pc.index(pc.is_valid(reasons), True).as_py()
            message = f"a feature is infinite: {reasons[row].as_py()}"
            raise UsageError(
                message,
                row=row,
                hint="leave out the rows that `refusals` of the model names",
            )
        found = self.algorithm.predict(self.estimator, matrix)
        return found if self.calibration is None else self.calibration(found)

    def refusals(self, rows: pa.Table) -> pa.Array:
        """Why a row is not scored, or null for one that is.

        An infinite feature; or, of a model with an offset or an exposure, one that is missing, and
        an exposure that is not above 0. (`predict` takes the mean of training and 0 for those.)

        Args:
            rows: Rows that hold the features.
        """
        given = self.recipe.parameters
        offset, exposure = ([str(given[r])] if given.get(r) else [] for r in ("offset", "exposure"))
        known = [*offset, *exposure]
        return refusals(rows, self.encoding.names, known=known, positive=exposure)

    def decide(self, predicted: Floats) -> Decided:
        """What is decided of what `predict` gave: truths, codes of `classes.labels`, or values.

        By the costs of errors where the pipeline declares them, as `prediction` has it in tables of
        scores; otherwise true from one half on, and the likeliest class.
        """
        return decided(predicted, self.classes.task, self.rule)

    def check(self, schema: pa.Schema) -> None:
        """Compares the features of a table with those of training, types included.

        Raises:
            UsageError: They differ; the message lists each.
        """
        check_features(self.signature, schema, model=self.digest)

    def files(self) -> dict[str, bytes]:
        """File name to content; equal models have equal bytes."""
        form = FORMATS[self.algorithm.save_as]
        binary = self.classes.task is Task.BINARY  # such a model has had no file of them, ever
        return {
            _ENCODING: as_json(self.encoding.to_json()),
            _RECIPE: as_json(vars(self.recipe)),
            **({} if binary else {_CLASSES: as_json(self.classes.to_json())}),
            **({_CALIBRATION: as_json(self.calibration.to_json())} if self.calibration else {}),
            **({_DECISION: as_json(self.rule.to_json())} if self.rule else {}),
            f"model{form.suffix}": form.dump(self.estimator),
        }

    @property
    def digest(self) -> str:
        """Digest of its files, by which it is named."""
        named_so = self.record.get("model")
        return str(named_so) if named_so else digest_of(file_digests(self.files()))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, record: Mapping[str, Any]) -> Self:
        """The model that `files` wrote.

        Raises:
            CorruptArtifact: The files are not those of a model.
        """
        try:
            recipe = Recipe(**json.loads(files[_RECIPE]))
            form = FORMATS[named(recipe.algorithm).save_as]
            estimator = form.load(files[f"model{form.suffix}"])
            encoding = Encoding.from_json(json.loads(files[_ENCODING]))
            told = json.loads(files[_CLASSES]) if _CLASSES in files else Classes().to_json()
            classes = Classes.from_json(told)
            calibration, rule = _corrections(files, classes)
            return cls(recipe, encoding, estimator, classes, record, calibration, rule)
        except (KeyError, TypeError, ValueError) as error:
            message = f"these are not the files of a model: {error!r}"
            raise CorruptArtifact(message, hint="train again") from error


def check_features(signature: Mapping[str, str], schema: pa.Schema, *, model: str) -> None:
    """Compares the features of a table with those of training, types included.

    Args:
        signature: Feature to the Arrow type it had in training.
        schema: Of the table.
        model: Digest of the model, for the message.

    Raises:
        UsageError: They differ; the message lists each.
    """
    found = {name: str(schema.field(name).type) for name in schema.names}
    wrong = [
        f"{name} is {found.get(name, 'missing')} and was {kind} in training"
        for name, kind in signature.items()
        if found.get(name) != kind
    ]
    if wrong:
        message = f"the features are not those of the model: {'; '.join(wrong)}"
        hint = "train a new model for the features as they are now"
        raise UsageError(message, model=model, hint=hint)


def file_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """File name to SHA-256 of its content."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def digest_of(digests: Mapping[str, str]) -> str:
    """The digest of a model: over the sorted digests of its files."""
    return digest(sorted(digests.items()))


def _corrections(
    files: Mapping[str, bytes], classes: Classes
) -> tuple[Calibration | None, Rule | None]:
    """Calibration and rule of a model, of which most have neither."""
    calibration = rule = None
    if _CALIBRATION in files:
        told = json.loads(files[_CALIBRATION])
        calibration = Calibration.from_json(told, classes.task, classes=classes.count)
    if _DECISION in files:
        told = json.loads(files[_DECISION])
        rule = rule_from_json(told, classes.task, classes=classes.count)
    return calibration, rule


def _from_pandas(frame: pd.DataFrame, names: tuple[str, ...]) -> pa.Table:
    held = [name for name in names if name in frame.columns]
    return pa.Table.from_pandas(frame[held], preserve_index=False)
