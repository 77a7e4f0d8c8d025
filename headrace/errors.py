"""Every exception that Headrace raises on purpose, and nothing else.

HeadraceError
├── Terminal                  trying again cannot help
│   ├── SpecError             the pipeline file is wrong                      (exit 2)
│   ├── UsageError            a command or a call asks for what is not there  (exit 2)
│   ├── UnreadableInput       a landing file or folder cannot be read         (exit 2)
│   ├── SchemaChanged         a file's columns are not the declared ones      (exit 2)
│   ├── SetupError            Java, jars, an extra or a setting is missing    (exit 1)
│   ├── ChecksFailed          a rule with `action: fail` was broken           (exit 1)
│   ├── BalanceError          rows in and rows out of a batch differ          (exit 1)
│   ├── FeatureError          a feature cannot be computed as declared        (exit 1)
│   ├── StageFailed           an engine refused the work of a stage           (exit 1)
│   ├── TrainingError         no model could be fitted or judged              (exit 1)
│   ├── LeakFound             the audit before training found a leak          (exit 1)
│   ├── CorruptArtifact       a stored file is not what its digest says       (exit 1)
│   └── GateRefused           promotion refused under --require-promotion     (exit 3)
└── Transient                 the same call may succeed later
    ├── CommitConflict        another writer committed to the table first     (exit 1)
    └── EngineLost            Spark or Ray went away                          (exit 1)
"""

from __future__ import annotations

from typing import Any, ClassVar


class HeadraceError(Exception):
    """Base of all errors: what went wrong, where, and what to do.

    Args:
        message: What is wrong, in one sentence.
        hint: What the reader should do next.
        **where: The place, such as `source=`, `table=`, `file=`, `row=`, `column=` or `run=`.

    Example:
        >>> print(UnreadableInput("not UTF-8", file="a.csv", hint="save it as UTF-8"))
        not UTF-8 (file a.csv)
          -> save it as UTF-8
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", **where: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = ", ".join(
            f"{name} {value}" for name, value in self.where.items() if value is not None
        )
        text = f"{self.message} ({place})" if place else self.message
        return f"{text}\n  -> {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Ray returns errors across processes: keyword context must survive pickle.
        return _restored, (type(self), self.message, self.hint, self.where)


def _restored(
    kind: type[HeadraceError], message: str, hint: str, where: dict[str, object]
) -> HeadraceError:
    return kind(message, hint=hint, **where)


class Terminal(HeadraceError):
    """Trying again cannot help: something must be mended first."""


class Transient(HeadraceError):
    """The same call may succeed later; only these are retried."""


class SpecError(Terminal):
    """The pipeline file is wrong; `message` holds one line per problem, with its place."""

    exit_code = 2


class UsageError(Terminal):
    """A command or a call asks for something that is not there."""

    exit_code = 2


class UnreadableInput(Terminal):
    """A landing file or folder is missing, or cannot be read at all."""

    exit_code = 2


class SchemaChanged(Terminal):
    """The columns of a landing file are not the declared ones."""

    exit_code = 2


class SetupError(Terminal):
    """Java, a jar, an extra or a setting is missing or unfit."""


class ChecksFailed(Terminal):
    """A rule with `action: fail` was broken; its batch stays unpublished."""


class BalanceError(Terminal):
    """Rows read are not rows in silver + quarantine + duplicates; nothing was published."""


class FeatureError(Terminal):
    """A feature or target cannot be computed as it is declared."""


class StageFailed(Terminal):
    """An engine refused the work of a stage; what was committed before stands."""


class TrainingError(Terminal):
    """No model could be fitted or judged."""


class LeakFound(Terminal):
    """The audit before training found a leak that is not allowed; nothing was fitted."""


class CorruptArtifact(Terminal):
    """A stored file is not what its digest or checksum says; it was not used."""


class GateRefused(Terminal):
    """The challenger did not beat what it had to beat, and promotion was required."""

    exit_code = 3


class CommitConflict(Transient):
    """Another writer committed to the table first; reload, decide again."""


class EngineLost(Transient):
    """Spark or Ray went away in the middle of a stage."""
