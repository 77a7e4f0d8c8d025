"""Many models that predict as one: each of several members fitted on folds, and pooled."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from headrace.errors import CorruptArtifact, UsageError
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Matrix, Task
from headrace.models.formats import FORMATS, as_json
from headrace.models.presets.pool import Pool
from headrace.models.zipped import unzipped, zipped

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats
    from headrace.models.encoding import Form

_MANIFEST, _BAG = "manifest.json", "bag.zip"
_BULK = (0.001, 0.999)  # quantiles


@dataclass(frozen=True)
class Member:
    """One model of a preset, fitted once per fold.

    Attributes:
        name: Of its own within the preset.
        algorithm: A name of the catalogue.
        parameters: Over the entry's defaults.
        refit: Whether one fit on all rows predicts, instead of the mean of the folds' fits.
        log: Whether it learns the logarithm of a positive target.
        repeats: Whether more rounds on other folds help it.
        clip: Whether numbers are drawn to the bulk of those that training had (see `limits`).
    """

    name: str
    algorithm: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    refit: bool = False
    log: bool = False
    repeats: bool = False
    clip: bool = False


@dataclass(frozen=True)
class Part:
    """One fitted estimator of a member.

    Attributes:
        member: Name of the member.
        file: Its bytes, in its native format, are under this name.
        factor: What values of a log target are multiplied with.
    """

    member: str
    file: str
    factor: float = 1.0


def limits(X: Matrix, categorical: Collection[int]) -> Floats:
    """Between which numbers the bulk of each column is: two rows, no limits where it has none.

    Without them a line in the leaves of a tree is followed to wherever one odd cell leads.

    Args:
        X: Rows by columns, of the form `codes`.
        categorical: Columns of categories, which have none.
    """
    far = np.finfo(np.float64).max
    found = np.tile([[-far], [far]], X.shape[1])
    for column in set(range(X.shape[1])) - set(categorical):
        known = X[~np.isnan(X[:, column]), column]
        if len(known):
            found[:, column] = np.quantile(known, _BULK)
    return found


def estimated(
    member: Member,
    estimator: Any,  # noqa: ANN401  # the library's own
    X: Matrix,
    *,
    limits: Floats | None,
    factor: float = 1.0,
) -> Floats:
    """Values (rows,), or probabilities (rows, classes), of one estimator of a member.

    Args:
        member: Whose it is.
        estimator: The library's own.
        X: In the form that the member asks for.
        limits: Of a member that clips.
        factor: See `Part`.
    """
    if member.clip and limits is not None:
        X = np.clip(X, *limits)
    found = named(member.algorithm).predict(estimator, X)
    if member.log:
        return np.exp(found) * factor
    return found


def columns_of(found: Floats) -> Floats:
    """Probabilities of true to those of both classes; those of several as they are."""
    return np.column_stack([1 - found, found]) if found.ndim == 1 else found


@dataclass(frozen=True)
class Bag:
    """A fitted preset: one model of many parts.

    Attributes:
        task: The kind of target.
        members: Those with a weight; none where nothing beat the prior.
        parts: The estimators of each.
        pool: Weights of the members, then of the prior (of a regression: of none).
        prior: Share of each class, or the mean.
        range: Least and greatest target of a regression.
        files: File name to bytes of an estimator.
        limits: See `limits`; None where no member asks for them.
    """

    task: Task
    members: tuple[Member, ...]
    parts: tuple[Part, ...]
    pool: Pool
    prior: tuple[float, ...]
    range: tuple[float, float]
    files: Mapping[str, bytes]
    limits: Floats | None = None

    @property
    def forms(self) -> set[Form]:
        """The matrices it asks for."""
        return {named(member.algorithm).needs.categories for member in self.members}

    @cached_property
    def _estimators(self) -> dict[str, Any]:
        form = {m.name: FORMATS[named(m.algorithm).save_as] for m in self.members}
        return {part.file: form[part.member].load(self.files[part.file]) for part in self.parts}

    def predict(self, matrices: Mapping[Form, Matrix], *, rows: int) -> Floats:
        """Values (rows,), or probabilities (rows, classes); a row by itself.

        Args:
            matrices: What `forms` asks for, each encoded once.
            rows: How many there are.
        """
        if not self.members or rows == 0:
            constant = np.tile(np.asarray(self.prior), (rows, 1))
            return constant[:, 0] if self.task is Task.REGRESSION else constant
        means = [self._mean(member, matrices) for member in self.members]
        if self.task is Task.REGRESSION:
            return np.clip(self.pool.values(means), *self.range)
        return self.pool.chances([*means, np.tile(np.asarray(self.prior), (rows, 1))])

    def _mean(self, member: Member, matrices: Mapping[Form, Matrix]) -> Floats:
        """The mean of the member's estimators."""
        X = matrices[named(member.algorithm).needs.categories]
        parts = [part for part in self.parts if part.member == member.name]
        total: Any = 0.0
        for part in parts:
            found = estimated(
                member, self._estimators[part.file], X, limits=self.limits, factor=part.factor
            )
            if self.task is Task.REGRESSION:
                found = np.clip(found, *self.range)
            total = total + (found if self.task is Task.REGRESSION else columns_of(found))
        mean: Floats = total / len(parts)
        return mean

    def to_bytes(self) -> bytes:
        """A zip file: one manifest, and each estimator in its native format."""
        manifest = {
            "task": str(self.task),
            "members": [{**asdict(m), "parameters": dict(m.parameters)} for m in self.members],
            "parts": [asdict(part) for part in self.parts],
            "pool": {"weights": self.pool.weights.tolist(), "level": self.pool.level},
            "prior": list(self.prior),
            "range": list(self.range),
            "limits": None if self.limits is None else self.limits.tolist(),
        }
        return zipped({_MANIFEST: as_json(manifest), **dict(sorted(self.files.items()))})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The bag that `to_bytes` wrote.

        Raises:
            CorruptArtifact: It is not one.
        """
        try:
            files = unzipped(data)
            told = json.loads(files.pop(_MANIFEST))
            bag = cls(
                task=Task(told["task"]),
                members=tuple(Member(**each) for each in told["members"]),
                parts=tuple(Part(**each) for each in told["parts"]),
                pool=Pool(np.array(told["pool"]["weights"]), told["pool"]["level"]),
                prior=tuple(told["prior"]),
                range=(told["range"][0], told["range"][1]),
                files=files,
                limits=None if told["limits"] is None else np.array(told["limits"]),
            )
            bag._estimators  # noqa: B018  # each is read now, or refused
        except (KeyError, TypeError, ValueError, UsageError) as error:
            message = f"this is no bag of models: {error!r}"
            raise CorruptArtifact(message, hint="train again") from error
        return bag


def packed(manifest: Mapping[str, Any], bag: Bag) -> bytes:
    """One file of a bag and what is told of it, as JSON values."""
    return zipped({_MANIFEST: as_json(manifest), _BAG: bag.to_bytes()})


def unpacked(data: bytes) -> tuple[dict[str, Any], Bag]:
    """What `packed` wrote.

    Raises:
        CorruptArtifact: It is not that.
    """
    try:
        files = unzipped(data)
        return json.loads(files[_MANIFEST]), Bag.from_bytes(files[_BAG])
    except (KeyError, TypeError, ValueError) as error:
        message = f"this is no fitted model: {error!r}"
        raise CorruptArtifact(message, hint="fit again") from error
