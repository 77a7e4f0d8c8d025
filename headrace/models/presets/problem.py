"""What every job of a preset works on: rows, targets, folds; kept in files for other processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Matrix, Samples, Task
from headrace.models.presets.bag import limits

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers
    from headrace.models.encoding import Form


@dataclass(frozen=True)
class Problem:
    """What every job works on.

    Attributes:
        matrices: Form to rows by columns.
        y: As in `Samples`.
        categorical: Columns of `codes` that hold categories.
        task: The kind of target.
        classes: How many; 0 in a regression.
        folds: The fold of each row, for each round: rounds by rows; -1: always learned from.
        weight: Of each row.
        seed: Of every fit.
    """

    matrices: Mapping[Form, Matrix]
    y: Floats
    categorical: tuple[int, ...]
    task: Task
    classes: int
    folds: Integers
    weight: Floats | None
    seed: int

    @cached_property
    def limits(self) -> Floats:
        """Of numbers, for members that clip."""
        return limits(self.matrices["codes"], self.categorical)

    @cached_property
    def range(self) -> tuple[float, float]:
        """Least and greatest target."""
        return float(self.y.min()), float(self.y.max())

    def samples(self, form: Form, rows: Any) -> Samples:  # noqa: ANN401  # places or a mask
        """Some of the rows."""
        return Samples(
            self.matrices[form][rows],
            self.y[rows],
            self.categorical if form == "codes" else (),
            self.task,
            self.classes,
            None if self.weight is None else self.weight[rows],
        )

    def save(self, folder: Path) -> None:
        """Writes it for the processes beside."""
        from scipy import sparse  # type: ignore[import-untyped]  # it ships no types

        for form, X in self.matrices.items():
            if isinstance(X, np.ndarray):
                np.save(folder / f"{form}.npy", X)
            else:
                sparse.save_npz(folder / f"{form}.npz", X, compressed=False)
        for name in ("y", "folds", "weight"):
            if getattr(self, name) is not None:
                np.save(folder / f"{name}.npy", getattr(self, name))
        told = {
            "categorical": list(self.categorical),
            "task": str(self.task),
            "classes": self.classes,
            "seed": self.seed,
            "forms": list(self.matrices),
        }
        (folder / "problem.json").write_text(json.dumps(told), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Problem:
        """What `save` wrote; dense arrays stay in their files until they are read."""
        from scipy import sparse

        told = json.loads((folder / "problem.json").read_text(encoding="utf-8"))

        def array(name: str) -> Any:  # noqa: ANN401  # an array
            return np.load(folder / f"{name}.npy", mmap_mode="r")

        return cls(
            matrices={
                form: array(form)
                if (folder / f"{form}.npy").exists()
                else sparse.load_npz(folder / f"{form}.npz")
                for form in told["forms"]
            },
            y=np.array(array("y")),
            categorical=tuple(told["categorical"]),
            task=Task(told["task"]),
            classes=told["classes"],
            folds=np.array(array("folds")),
            weight=np.array(array("weight")) if (folder / "weight.npy").exists() else None,
            seed=told["seed"],
        )
