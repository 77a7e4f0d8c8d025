"""Results of finished trials on disk, so that a search that was ended goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from headrace import faults
from headrace.models.algorithms.algorithm import Parameters

Result = Mapping[str, Any]  # JSON values, as `Trial` reports them


class Journal:
    """A file of one search; its name tells all that its trials depend on but their parameters.

    A line is added when a trial has ended, before its result is used. A line that a kill cut short
    is not read. Two searches with the same name add the same lines.

    Args:
        path: Of the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: dict[str, Result] = {}
        with suppress(FileNotFoundError):
            for line in path.read_text().splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    told = json.loads(line)
                    self._results[told["trial"]] = told["result"]

    def recall(self, algorithm: str, parameters: Parameters, shares: list[float]) -> Result | None:
        """The result of a trial that has ended before, if it has."""
        return self._results.get(_key(algorithm, parameters, shares))

    def keep(
        self, algorithm: str, parameters: Parameters, shares: list[float], *, result: Result
    ) -> None:
        """Adds a result; once this returns it survives a kill."""
        key = _key(algorithm, parameters, shares)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"trial": key, "result": dict(result)})
        with self._path.open("a") as file:
            # A line of its own, whatever a kill has left of the one before.
            file.write(f"\n{line}\n")
            file.flush()
            os.fsync(file.fileno())
        faults.point("search", "after_commit")
        self._results[key] = result


def _key(algorithm: str, parameters: Parameters, shares: list[float]) -> str:
    return json.dumps([algorithm, parameters, shares], sort_keys=True)
