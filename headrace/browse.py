"""A lake for people with a notebook: its tables and models by name; nothing is written."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import UsageError
from headrace.lake.paths import Lake

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from headrace.lake.table import Table
    from headrace.models.model import Model

_LOG = "_delta_log"


class OpenLake:
    """A lake to read from.

    Args:
        path: Its folder.

    Raises:
        UsageError: There is no such folder.
    """

    def __init__(self, path: str | Path) -> None:
        self._lake = Lake(Path(path).expanduser().absolute())
        if not self._lake.root.is_dir():
            message = "there is no lake here"
            raise UsageError(message, lake=self._lake.root, hint="`headrace run FILE` makes one")

    def __repr__(self) -> str:
        return f"headrace.open({str(self._lake.root)!r})"

    def tables(self) -> tuple[str, ...]:
        """The names of all tables, such as `silver/weather`, sorted."""
        return self._logs(committed=True)

    def unfinished(self) -> tuple[str, ...]:
        """The names of tables whose log holds no commit: a run was ended before their first."""
        return self._logs(committed=False)

    def _logs(self, *, committed: bool) -> tuple[str, ...]:
        from headrace.lake.table import Table

        root = self._lake.root
        logs = (*root.glob(f"*/{_LOG}"), *root.glob(f"*/*/{_LOG}"))
        tables = [log.parent for log in logs if Table.exists(log.parent) is committed]
        return tuple(sorted(table.relative_to(root).as_posix() for table in tables))

    def table(self, name: str, version: int | None = None) -> Table:
        """A table by name, at a version; the newest if none is given.

        Raises:
            UsageError: There is no such table or version; the message gives the nearest name.
        """
        from headrace.lake.table import Table

        names = self.tables()
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            message = f"no table {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            raise UsageError(message, lake=self._lake.root, hint=f"there are {', '.join(names)}")
        return Table(self._lake.root / name, version)

    def known(self, pipeline: str | Path, source: str, at: datetime) -> pa.Table:
        """The rows of a source as they were known at a moment.

        Args:
            pipeline: The pipeline file, which tells the source's key and clock.
            source: The source; where it declares no `known_at`, rows are known from ingestion on.
            at: The moment, aware; rows known later are left out, and of a row that was corrected
                it is the version known then.

        Raises:
            UsageError: There is no such source, or it has no rows yet.
        """
        from headrace.lake.known import as_known
        from headrace.spec import load

        declared = load(pipeline).source(source)
        rows = self.table(f"silver/{source}").arrow()
        return as_known(rows, key=declared.key, clock=declared.clock, at=at)

    def profile(self, name: str, version: int | None = None) -> pa.Table:
        """The profile of a table as rows, such as `weather` or `gold/flight_delays`.

        Args:
            name: A source, a pipeline, or a table's whole name.
            version: Of that table; the newest that was profiled if none is given.

        Raises:
            UsageError: It was not profiled; the message gives the nearest name.
        """
        from headrace.profiles import profiled, recall

        names = profiled(self._lake)
        table = next((each for each in reversed(names) if name in {each, each.split("/")[1]}), name)
        rows = recall(self._lake, table, version)
        if rows is None:
            at = "" if version is None or table not in names else f" of version {version}"
            message = f"no profile of {name!r}{at}"
            near = difflib.get_close_matches(name, [*names, *(n.split("/")[1] for n in names)], n=1)
            message += f"; did you mean {near[0]!r}?" if near and table not in names else ""
            hint = f"there are {', '.join(names)}; " if names else ""
            hint += "`headrace profile SOURCE FILE` makes one"
            raise UsageError(message, lake=self._lake.root, hint=hint)
        return rows

    def model(
        self, pipeline: str, digest: str | None = None, *, at: datetime | None = None
    ) -> Model:
        """A model of a pipeline: by its digest, or the champion.

        Args:
            pipeline: The pipeline.
            digest: Of the model; the champion if none is given.
            at: The champion as of this moment instead of the newest.

        Raises:
            UsageError: There is none.
            CorruptArtifact: Its files are not what their digests say.
        """
        from headrace.models import registry

        if digest is None:
            alias = registry.champion(self._lake, pipeline, at=at)
            if alias is None:
                message = f"no model of {pipeline!r} was promoted yet"
                raise UsageError(message, lake=self._lake.root, hint="`headrace train` makes one")
            digest = alias.model
        return registry.load(self._lake, pipeline, digest)

    def history(self, subject: str) -> pd.DataFrame:
        """What happened to a source or a pipeline, oldest first, from the tables' logs alone.

        Args:
            subject: A source or a pipeline.

        Returns:
            A row per commit: `at` (UTC), `table`, `version`, `unit`, and what the commit `told`.
        """
        import pandas as pd

        from headrace.lake.history import history

        events = history(self._lake.root, self.tables(), subject=subject)
        columns = ["at", "table", "version", "unit", "told"]
        return pd.DataFrame([vars(event) for event in events], columns=columns)

    def compare(
        self, pipeline: str | Path, algorithms: Sequence[str], *, rows: int = 20_000, seed: int = 7
    ) -> pd.DataFrame:
        """Algorithms with their defaults on a sample of gold; see `headrace.models.compare`.

        Args:
            pipeline: The pipeline file.
            algorithms: Names of the catalogue.
            rows: At most so many rows.
            seed: Of the draw and the fits.
        """
        from headrace.models.compare import compare
        from headrace.spec import load

        return compare(self._lake, load(pipeline), algorithms, rows=rows, seed=seed)
