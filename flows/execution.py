"""One execution of a pipeline: its request, what it has to do, the call of each stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.engines import Engines
from headrace import plan, runs
from headrace.errors import FeatureError, Transient
from headrace.intervals import features_due
from headrace.lake import Lake, Table, application_id
from headrace.lake.claims import Claim, Disk, claimed
from headrace.lake.landing import Landing
from headrace.ongoing import LOG
from headrace.processor import Meter
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.stage import STAGES, Outcome, StageResult


@dataclass(frozen=True)
class Request:
    """What one execution is asked to do.

    Attributes:
        pipeline: What is declared.
        settings: Where things are.
        run: The name of this execution, in file names and the `_run` column.
        first: The first stage to run.
        only: The one stage to run, if not all.
        stale: Build stale intervals again.
        days: The only intervals to build and score, if not all that lack them.
    """

    pipeline: Pipeline
    settings: Settings
    run: str
    first: str = STAGES[0]
    only: str | None = None
    stale: bool = False
    days: tuple[date, ...] | None = None


class Execution:
    """Calls each stage with what it needs, keeps the results, and stops the engines it started."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.pipeline = request.pipeline
        self.lake = Lake(request.settings.lake)
        self.results: list[StageResult] = []
        self.set_aside: list[str] = []
        self.now = datetime.now(UTC)
        self._meter = Meter()
        self._engines = Engines(request.settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engines.__exit__(kind, error, trace)

    def start(self) -> None:
        """Starts Spark in the background, if there is a batch to read or to judge.

        It takes as long as Prefect's temporary server, so both start together.
        """
        if any(landing.pending for landing in self.landings.values()):
            self._engines.start_spark()

    def wants(self, stage: str) -> bool:
        """Whether the request includes a stage."""
        if self.request.only is not None:
            return stage == self.request.only
        return STAGES.index(stage) >= STAGES.index(self.request.first)

    @cached_property
    def landings(self) -> dict[str, Landing]:
        """What lies in each source's landing folder; looked at once per execution."""
        return (
            plan.look(self.pipeline, self.lake)
            if self.wants("ingest") or self.wants("check")
            else {}
        )

    @property
    def sources(self) -> list[str]:
        """Sources with something to ingest or to publish, or a new unreadable file."""
        return [
            name
            for name, landing in self.landings.items()
            if landing.pending or landing.new_problems or landing.growing
        ]

    @property
    def has_work(self) -> bool:
        """Whether a stage that is wanted finds anything to do, or a page is asked for."""
        landings = self.landings.values()
        notable = any(one.new_problems or one.growing for one in landings)
        unpublished = self.wants("check") and any(one.pending for one in landings)
        if notable or unpublished or self.request.only == "report":
            return True
        due = {Outcome.MISSING, Outcome.WAITING, *([Outcome.STALE] if self.request.stale else [])}
        return any(
            stage.outcome in due and self.wants(stage.name)
            for stage in plan.plan(self.pipeline, self.lake, self.landings)
        )

    @property
    def has_records(self) -> bool:
        """Whether a stage has left its result, or why it failed."""
        return self.lake.runs(self.request.run).is_dir()

    @property
    def units(self) -> list[str]:
        """What this run may work on: batches, and gold, trainings and scores as a whole.

        Where it publishes, no row of the source is brought back from quarantine meanwhile.
        """
        batches = [
            application_id(source, "replay", "all")
            for source, landing in self.landings.items()
            if landing.pending
        ]
        batches += [
            application_id(source, stage, batch.id)
            for stage in ("ingest", "check")
            if self.wants(stage)
            for source, landing in self.landings.items()
            for batch in landing.pending
        ]
        later = [stage for stage in ("features", "train", "score") if self.wants(stage)]
        return batches + [application_id(self.pipeline.name, stage, "all") for stage in later]

    def ingest(self, source: str) -> StageResult:
        """The stage `ingest` of a source."""
        # Before the import: two threads must not import pyspark at once.
        spark = self._engines.spark()
        from spark_jobs import ingest

        landing = self.landings[source]
        try:
            result = self._call(
                "ingest",
                source,
                lambda: ingest.ingest(
                    spark,
                    self.lake,
                    source,
                    source=self.pipeline.sources[source],
                    landing=landing,
                    now=self.now,
                ),
            )
        except Transient:  # such as a file that changed: the next try reads what lies there then
            self.landings[source] = plan.look_at(self.pipeline, self.lake, source)
            raise
        self.set_aside += [f"{file.name}: {file.problem}" for file in landing.new_problems]
        return result

    def check(self, source: str) -> StageResult:
        """The stage `check` of a source."""
        spark = self._engines.spark()
        from spark_jobs import check

        return self._call(
            "check",
            source,
            lambda: check.check(
                spark,
                self.lake,
                source,
                pipeline=self.pipeline,
                landing=self.landings[source],
                run=self.request.run,
                now=self.now,
            ),
        )

    def replay(self, source: str) -> StageResult:
        """The stage `replay` of a source; no part of a run."""
        if not Table.exists(self.lake.quarantine(source)):
            return self._nothing("replay", f"nothing of {source} is in quarantine", source)
        spark = self._engines.spark()
        from spark_jobs import replay

        return self._call(
            "replay",
            source,
            lambda: replay.replay(spark, self.lake, source, pipeline=self.pipeline),
        )

    def profile(self, table: str, *, version: int) -> StageResult:
        """The stage `profile` of a table; no part of a run."""
        spark = self._engines.spark()
        from spark_jobs import profiling

        return self._call(
            "profile",
            table.partition("/")[2],
            lambda: profiling.profile(
                spark, self.lake, table, version=version, pipeline=self.pipeline, now=self.now
            ),
        )

    def features(self) -> StageResult:
        """The stage `features`."""
        due = features_due(self.pipeline, self.lake)
        if self.request.days is not None:
            due = due.among(self.request.days)
        if not (due.missing or due.unlabelled or (self.request.stale and due.stale)):
            return self._nothing("features", "every interval has its features")
        self._have_silver()
        spark = self._engines.spark()
        from spark_jobs import features

        return self._call(
            "features",
            self.pipeline.name,
            lambda: features.build(
                spark, self.lake, pipeline=self.pipeline, due=due, stale=self.request.stale
            ),
        )

    def _have_silver(self) -> None:
        declared = self.pipeline.features
        needed = {declared.rows, *declared.sources, self.pipeline.target.of}
        lacking = sorted(name for name in needed if not Table.exists(self.lake.silver(name)))
        if lacking:
            message = f"nothing of {', '.join(lacking)} is published yet"
            raise FeatureError(
                message, pipeline=self.pipeline.name, hint="deliver a readable file, then run again"
            )

    def train(self) -> list[StageResult]:
        """The stage `train`, once for each training that is due, oldest first."""
        days = features_due(self.pipeline, self.lake).days
        due = plan.trainings_due(self.pipeline, self.lake, until=max(days, default=None))
        if not due:
            return [self._nothing("train", "no training is due")]
        if "spark" in self.pipeline.training.engines.values():
            self._fit(due)
        self._engines.join_ray()
        from ray_tasks import train

        fit = partial(train.train, self.pipeline, self.lake, self.request.settings)
        return [
            self._call("train", self.pipeline.name, partial(fit, moment=day, run=self.request.run))
            for day in due
        ]

    def _fit(self, due: Sequence[date]) -> None:
        """The stage `fit`, which leaves the candidates of Spark for each training that is due."""
        spark = self._engines.spark()
        from spark_jobs import fit

        for day in due:
            self._call(
                "fit",
                self.pipeline.name,
                partial(fit.fit, spark, self.lake, pipeline=self.pipeline, moment=day),
            )

    def score(self) -> StageResult:
        """The stage `score`."""
        due = plan.scores_due(self.pipeline, self.lake, stale=self.request.stale)
        if self.request.days is not None:
            due = [day for day in due if day in self.request.days]
        if not due:
            return self._nothing("score", "every interval has its scores")
        self._engines.join_ray()
        from ray_tasks import score

        return self._call(
            "score",
            self.pipeline.name,
            lambda: score.score(
                self.pipeline,
                self.lake,
                self.request.settings,
                intervals=due,
                run=self.request.run,
                stale=self.request.stale,
            ),
        )

    def report(self) -> Path:
        """The stage `report`."""
        from headrace import report

        runs.describe(self.pipeline, self.lake.runs(self.request.run))
        return report.write(
            self.pipeline,
            self.lake,
            run=self.request.run,
            core_hour_price=self.request.settings.core_hour_price,
        )

    def _call(self, stage: str, subject: str, work: Callable[[], StageResult]) -> StageResult:
        _told(stage, subject, "started")
        started = time.monotonic()
        folder = self.lake.runs(self.request.run)
        runs.describe(self.pipeline, folder)
        meter = self._meter if self.request.settings.works_here(stage) else None
        try:
            result = _in_a_thread(
                lambda: runs.perform(stage, subject, work, folder=folder, meter=meter)
            )
        except Exception as error:
            why = str(error).partition("\n")[0]
            _told(stage, subject, f"failed after {time.monotonic() - started:.1f} s: {why}")
            raise
        self.results.append(result)
        counts = ", ".join(
            f"{count:,} {'file' if (name, count) == ('files', 1) else name.replace('_', ' ')}"
            for name, count in result.rows.items()
            if count
        )
        _told(
            stage,
            subject,
            f"{result.outcome} in {result.seconds:.1f} s: {counts or 'nothing to do'}",
        )
        return result

    def _nothing(self, stage: str, why: str, subject: str = "") -> StageResult:
        subject = subject or self.pipeline.name
        result = StageResult(
            name=stage,
            subject=subject,
            units=(),
            outcome=Outcome.ALREADY_DONE,
            notes=(why,),
        )
        self.results.append(result)
        runs.keep(result, self.lake.runs(self.request.run))
        _told(stage, subject, f"{Outcome.ALREADY_DONE}: {why}")
        return result


_OPEN: dict[str, Execution] = {}  # run -> what this process has begun


@contextmanager
def opened(request: Request) -> Iterator[tuple[Execution, Claim | None]]:
    """A run's execution, its units claimed and its engines starting.

    Opened again within (the command first, then the flow that it calls) it is the same one.

    Yields:
        The execution, and None; or the claim of another run that is at one of the units.
    """
    if request.run in _OPEN:
        yield _OPEN[request.run], None
        return
    execution = Execution(request)
    # The claims outlive the engines: a stage that was asked to stop may still be at work in one.
    store = Disk(execution.lake.claims)
    with claimed(store, execution.units, owner=request.run) as other, execution:
        if other is not None:
            yield execution, other
            return
        execution.start()
        _OPEN[request.run] = execution
        try:
            yield execution, None
        finally:
            del _OPEN[request.run]


def _in_a_thread(work: Callable[[], StageResult]) -> StageResult:
    """Calls it where no signal arrives: a call to the JVM or to Ray that is cut short breaks it."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stage")
    try:
        return pool.submit(work).result()
    finally:
        pool.shutdown(wait=False)  # asked to stop: its engine is stopped next, and it fails


def _told(stage: str, subject: str, text: str) -> None:
    LOG.info("%-8s %-14s %s", stage, subject, text, extra={"stage": stage, "subject": subject})
