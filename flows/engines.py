"""The engines of one execution: Spark and then Ray, started when needed and stopped in the end."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headrace.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Engines:
    """Spark starts in the background as soon as it is needed, while other work goes on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ray_held = ExitStack()
        self._session_held = ExitStack()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="start-spark")
        self._has_ray = False
        self._starting: Future[SparkSession] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A SparkSession left running aborts an interpreter that also used delta-rs.
        try:
            self._pool.shutdown(wait=True)
            self._session_held.close()
        finally:
            self._ray_held.__exit__(kind, error, trace)

    def start_spark(self) -> Future[SparkSession]:
        """Starts a session in the background, or a new one where the JVM of the last was lost."""
        with self._lock:
            if self._starting is not None and self._starting.done() and _is_lost():
                self._session_held.close()
                self._starting = None
            if self._starting is None:
                self._starting = self._pool.submit(self._session)
            return self._starting

    def spark(self) -> SparkSession:
        """The session, waited for where it is still starting."""
        return self.start_spark().result()

    def join_ray(self) -> None:
        """One Ray for training and scoring: a second start would cost more than the scoring.

        What Spark had to do is done by then, and its memory is wanted.
        """
        if not self._has_ray:
            self._stop_spark()
            from ray_tasks.cluster import connected

            self._ray_held.enter_context(connected(self._settings))
            self._has_ray = True

    def _stop_spark(self) -> None:
        with self._lock:
            if self._starting is not None:
                self._starting.result()
                self._session_held.close()
                self._starting = None

    def _session(self) -> SparkSession:
        from spark_jobs.session import open_session

        return self._session_held.enter_context(open_session(self._settings))


def _is_lost() -> bool:
    from spark_jobs.gateway import is_lost

    return is_lost()
