"""Tunes the algorithms of a pipeline on rows: those of a whole training, or of an outer fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from headrace.lake import Lake
from headrace.models.algorithms.algorithm import Algorithm
from headrace.models.registry import Aliases
from headrace.spec.model import Pipeline
from ray_tasks import search_record
from ray_tasks.examples import Examples
from ray_tasks.folded import folded
from ray_tasks.journal import Journal
from ray_tasks.search import Searched, search, shared
from ray_tasks.training import Training
from ray_tasks.trial import Problem
from ray_tasks.tuning import Tuning
from ray_tasks.workers import Workers


@dataclass(frozen=True)
class Tuner:
    """What the searches of one training have in common.

    Attributes:
        pipeline: What is declared.
        moment: The training day.
        run: Name of the run.
        lake: Its tables.
        algorithms: Name to entry, in order.
        aliases: The champions when the training began.
        workers: Where trials run.
    """

    pipeline: Pipeline
    moment: date
    run: str
    lake: Lake
    algorithms: Mapping[str, Algorithm]
    aliases: Aliases
    workers: Workers

    def tuned(
        self, rows: Examples, *, called: str = "", journal: Path | None = None
    ) -> tuple[Training, list[Searched]]:
        """Searches on these rows.

        Args:
            rows: Of which the training part is fitted on and the validation part judged on.
            called: Tells the search from others of the same training.
            journal: File of the results of a search that was ended, if this one goes on from it.
        """
        declared = self.pipeline.training
        forms = sorted({entry.needs.categories for entry in self.algorithms.values()})
        encodings = rows.encodings(forms)
        fitted = rows.samples(encodings, rows.parts.train)
        validation = rows.samples(encodings, rows.parts.validation)
        reference, problem = shared(
            Problem(
                self.algorithms,
                train=fitted,
                validation=validation,
                metric=declared.metric,
                seed=declared.seed,
                folds=folded(rows, forms, fitted, validation),
            )
        )
        found = search(
            problem,
            reference=reference,
            workers=self.workers,
            tuning=Tuning.of(declared),
            storage=self.lake.runs(self.run) / f"tune-{self.moment}{called}",
            starts=search_record.starts(self.lake, self.pipeline, self.aliases, moment=self.moment),
            journal=None if journal is None else Journal(journal),
            alone=not declared.engines,
        )
        training = Training(
            self.pipeline, self.moment, rows, encodings, problem.train, self.aliases
        )
        return training, found
