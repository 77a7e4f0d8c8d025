"""Every exception that Headrace raises on purpose, and nothing else.

HeadraceError
├── Terminal                  trying again cannot help
│   ├── SpecError        HR-101  the pipeline file is wrong                      (exit 2)
│   ├── UsageError       HR-102  a command or a call asks for what is not there  (exit 2)
│   ├── UnreadableInput  HR-201  a landing file or folder cannot be read         (exit 2)
│   ├── SchemaChanged    HR-202  a file's columns are not the declared ones      (exit 2)
│   ├── ChecksFailed     HR-203  a rule with `action: fail` was broken           (exit 1)
│   ├── BalanceError     HR-204  rows in and rows out of a batch differ          (exit 1)
│   ├── FeatureError     HR-301  a feature cannot be computed as declared        (exit 1)
│   ├── TrainingError    HR-302  no model could be fitted or judged              (exit 1)
│   ├── LeakFound        HR-303  the audit before training found a leak          (exit 1)
│   ├── GateRefused      HR-304  promotion refused under --require-promotion     (exit 3)
│   ├── SetupError       HR-401  Java, jars, an extra or a setting is missing    (exit 1)
│   ├── StageFailed      HR-402  an engine refused the work of a stage           (exit 1)
│   ├── CorruptArtifact  HR-501  a stored file is not what its digest says       (exit 1)
│   └── ScoreDiffers     HR-502  a score computed again is another one           (exit 4)
└── Transient            HR-601  the same call may succeed later                 (exit 1)
    ├── CommitConflict   HR-602  another writer committed to the table first     (exit 1)
    └── EngineLost       HR-603  Spark or Ray went away                          (exit 1)

The page docs/errors.md is written from this file by `python -m headrace.error_page docs/errors.md`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HeadraceError(Exception):
    """The machine, or a table, refused: what went wrong, where, and what to do.

    Args:
        message: What is wrong, in one sentence.
        hint: What the reader should do next.
        **where: The place, such as `source=`, `table=`, `file=`, `row=`, `column=` or `run=`.

    Attributes:
        code: Stable name of the class, told in the last line; docs/errors.md lists them.
        exit_code: Of the command.
        causes: What usually leads to it.
        mend: What to do about it, in general; a message's own hint is nearer to the case.

    Example:
        >>> print(UnreadableInput("not UTF-8", file="a.csv", hint="save it as UTF-8"))
        not UTF-8 (file a.csv)
          -> save it as UTF-8
    """

    code: ClassVar[str] = "HR-403"
    exit_code: ClassVar[int] = 1
    causes: ClassVar[tuple[str, ...]] = (
        "the disk is full, or the lake or a landing file lies where it cannot be reached",
        "this user may not read or write there",
        "a table could not be committed to",
    )
    mend: ClassVar[str] = (
        "Free space, or give the right to read and write, then run again: what was committed "
        "stands."
    )

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

    @classmethod
    def pointer(cls) -> str:
        """The last line of what is told: the code, and where more stands."""
        return f"{cls.code}: `headrace errors {cls.code}` tells the usual causes"

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

    code = "HR-601"
    causes = (
        "a landing file changed while it was read",
        "an object store could not be reached, or answered late",
    )
    mend = "Run again; what was committed stands. If it stays, look at the network or the store."


class SpecError(Terminal):
    """The pipeline file is wrong; `message` holds one line per problem, with its place."""

    code = "HR-101"
    exit_code = 2
    causes = (
        "a key or a name that is not known, often misspelt: the nearest one is told",
        "a column that a source does not declare",
        "a feature that would use what is not known yet at the moment of prediction",
    )
    mend = (
        "Go to each line that is told; all problems come at once. `headrace validate FILE` looks "
        "again in under a second."
    )


class UsageError(Terminal):
    """A command or a call asks for something that is not there."""

    code = "HR-102"
    exit_code = 2
    causes = (
        "an option, a source, a run, a model or a key that does not exist",
        "a table that no run has made yet, or another folder than that of the lake",
        "a `HEADRACE_*` variable with a value that it cannot have",
        "more rows or columns than an algorithm's budget",
    )
    mend = (
        "Take one of the names that the message lists; `headrace COMMAND --help` shows an example. "
        "`--lake` or `HEADRACE_LAKE` names the lake."
    )


class UnreadableInput(Terminal):
    """A landing file or folder is missing, or cannot be read at all."""

    code = "HR-201"
    exit_code = 2
    causes = (
        "the landing folder or bucket does not exist",
        "no file matches `path` of the source",
        "a feed came late",
    )
    mend = "Deliver the file, or mend `path` of the source; `headrace plan` looks again."


class SchemaChanged(Terminal):
    """The columns of a landing file are not the declared ones."""

    code = "HR-202"
    exit_code = 2
    causes = (
        "the feed has a new column, lost one or renamed one",
        "another delimiter than the declared one: the header is then one column",
        "a column name that stands twice in the header",
    )
    mend = (
        "Mend the file or the `schema` of the source; with `on_changed_columns: adapt` a missing "
        "column is read as null, and an unknown one stays in bronze."
    )


class ChecksFailed(Terminal):
    """A rule with `action: fail` was broken; its batch stays unpublished."""

    code = "HR-203"
    causes = (
        "the data broke a rule of `checks`",
        "a batch is smaller or larger than a rule of the whole table allows",
    )
    mend = (
        "Deliver a right file, or mend the rule, or give it `action: quarantine` or `warn`; the "
        "next run publishes the batch. The report shows each verdict."
    )


class BalanceError(Terminal):
    """Rows read are not rows in silver + quarantine + duplicates; nothing was published."""

    code = "HR-204"
    causes = (
        "a step of `features.steps` adds or loses rows",
        "a file was cut while it was read",
        "a fault of Headrace: please report it",
    )
    mend = "Nothing was committed. Mend the step that is named, then run again."


class FeatureError(Terminal):
    """A feature or target cannot be computed as it is declared."""

    code = "HR-301"
    causes = (
        "an expression that Spark refuses for the types it meets",
        "a look-up whose key is not unique",
        "a module of `features.steps` that cannot be imported",
        "a value of another type than the target's task takes",
    )
    mend = (
        "Mend the line of the pipeline file that is named; "
        "`headrace features FILE --sample 1000` tries it on a few rows."
    )


class TrainingError(Terminal):
    """No model could be fitted or judged."""

    code = "HR-302"
    causes = (
        "too few rows whose target was known at the moment of training",
        "a target that is the same in all rows",
        "an empty part of the split",
        "a library that refuses the parameters",
    )
    mend = (
        "Train at a later `training.first`, shorten `split`, or take another algorithm "
        "(`headrace choose FILE`)."
    )


class LeakFound(Terminal):
    """The audit before training found a leak that is not allowed; nothing was fitted."""

    code = "HR-303"
    causes = (
        "a feature that knows the target",
        "a source without `known_at` whose rows come after the moment of prediction",
        "the same rows in two parts of the split",
    )
    mend = (
        "`headrace audit FILE` shows the evidence; mend the feature, or list the finding under "
        "`training.allow` with the reason. See docs/audit.md."
    )


class GateRefused(Terminal):
    """The challenger did not beat what it had to beat, and promotion was required."""

    code = "HR-304"
    exit_code = 3
    causes = (
        "the gain over the best baseline or the champion is within noise",
        "a forecast that does not beat its series as it was a day, a week or a year ago",
        "there was no training yet",
    )
    mend = (
        "Nothing is broken: the champion stays. The report shows the figures; more data or better "
        "features are the way."
    )


class SetupError(Terminal):
    """Java, a jar, an extra or a setting is missing or unfit."""

    code = "HR-401"
    causes = (
        "no Java, or one that Spark does not run on",
        "jars that could not be fetched, or are damaged",
        "an extra such as `headrace[onnx]` that is not installed",
        "a Prefect server or an engine that does not start",
    )
    mend = "`headrace doctor` names what is missing, and `headrace doctor --repair` fetches jars."


class StageFailed(Terminal):
    """An engine refused the work of a stage; what was committed before stands."""

    code = "HR-402"
    causes = (
        "the disk filled up",
        "Spark or Ray failed for a reason that the message quotes",
    )
    mend = "Mend what the message names, then run again: what was committed stands."


class CorruptArtifact(Terminal):
    """A stored file is not what its digest or checksum says; it was not used."""

    code = "HR-501"
    causes = (
        "a disk or a copy that changed bytes",
        "a file of the lake that was edited, moved or deleted by hand",
    )
    mend = (
        "Restore the file from a backup, or rebuild the table or model; `headrace verify` reads "
        "the whole lake back and names every such file."
    )


class ScoreDiffers(Terminal):
    """A score that was computed again from its model and features is another one."""

    code = "HR-502"
    exit_code = 4
    causes = (
        "another version of a library, or another processor, than those that scored",
        "scores that were made with `HEADRACE_COMPILED_LIGHTGBM=true`, and are rebuilt without it",
        "a score that was changed in the lake",
    )
    mend = (
        "Compare the libraries that `headrace explain` lists with those here, and rebuild with "
        "theirs; `headrace verify` tells whether the lake was changed."
    )


class CommitConflict(Transient):
    """Another writer committed to the table first; reload, decide again."""

    code = "HR-602"
    causes = (
        "two runs of the same pipeline at once",
        "a run that holds the table's lock for long",
    )
    mend = "Wait for the other run, then run again: what it has done is left alone."


class EngineLost(Transient):
    """Spark or Ray went away in the middle of a stage."""

    code = "HR-603"
    causes = (
        "too little memory: the system ended the engine",
        "a cluster that stopped, or a network that broke",
    )
    mend = (
        "Run again: what was committed stands. If it stays, `headrace doctor` tells the memory, "
        "and `HEADRACE_SPARK_MEMORY_GIB` gives Spark more."
    )


def kinds(base: type[HeadraceError] = HeadraceError) -> list[type[HeadraceError]]:
    """Every class of error that is raised, in order of its code."""
    found = [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]
    return sorted((kind for kind in found if "code" in vars(kind)), key=lambda kind: kind.code)
