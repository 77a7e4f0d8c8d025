"""What a pipeline declares of its trainings: parts of the rows, the search, leaks it allows."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from headrace.evaluation.metric import Metric
from headrace.spec.fields import Day, Days, Declared, Limit, Name, Portion

Most = Annotated[int, Field(strict=True, ge=1)]
Folds = Annotated[int, Field(strict=True, ge=2, le=20)]


class Split(Declared):
    """Parts of the rows: by interval, counted back from the training moment; or dealt by hash.

    By time, test is the last. Dealt, a row or a group stays in its part when more rows come. What
    `groups` names must not be in two parts; the audit before training holds it.
    """

    kind: Literal["time", "random", "stratified", "grouped"] = Field(
        "time", description="`stratified` keeps the share of each class, `grouped` whole groups"
    )
    validation: Portion = Field(description="days of a split by time; else a share such as '20%'")
    test: Portion = Field(description="the same; rows that only the gate sees")
    groups: tuple[Name, ...] = Field(
        (), description="features or columns of the key, such as a patient"
    )
    folds: Folds | None = Field(
        None, description="a trial is judged by its mean over so many folds, not on `validation`"
    )
    nested: Folds | None = Field(
        None, description="the whole search again on so many outer folds, for an estimate of it"
    )
    worth: Annotated[float, Field(gt=0)] | None = Field(
        None, description="gain that the test part should show; 0.01, or 1% of a loss or an error"
    )

    @model_validator(mode="after")
    def _portions_of_its_kind(self) -> Self:
        by_time = self.kind == "time"
        for name, portion in (("validation", self.validation), ("test", self.test)):
            if isinstance(portion, timedelta) != by_time:
                form = "days, such as '31 days'" if by_time else "a share, such as '20%'"
                message = f"`{name}` of a split of kind `{self.kind}` is {form}"
                raise ValueError(message)
        if not by_time and self.share("validation") + self.share("test") >= 1:
            message = "`validation` and `test` leave no row to train on"
            raise ValueError(message)
        if self.kind == "grouped" and not self.groups:
            message = "a split of kind `grouped` names its `groups`"
            raise ValueError(message)
        return self

    def share(self, part: Literal["validation", "test"]) -> float:
        """The share of a part that is dealt; of a split by time there is none."""
        portion = self.validation if part == "validation" else self.test
        return portion if isinstance(portion, float) else 0.0

    def length(self, part: Literal["validation", "test"]) -> timedelta:
        """The days of a part by time; of rows that are dealt there are none."""
        portion = self.validation if part == "validation" else self.test
        return portion if isinstance(portion, timedelta) else timedelta()


class Leak(StrEnum):
    """Kinds of leaks that the audit before training looks for; see docs/audit.md."""

    PERFECT_FEATURE = "perfect_feature"
    COLLAPSING_FEATURE = "collapsing_feature"
    REPEATED_ROWS = "repeated_rows"
    SHARED_GROUPS = "shared_groups"
    KNOWN_AFTER_AT = "known_after_at"
    REBUILT_LOOKUP = "rebuilt_lookup"
    FITTED_ON_TEST = "fitted_on_test"
    ROW_ORDER = "row_order"


class Allowance(Declared):
    """A finding of the audit that may stand, and why; it covers findings in these columns."""

    leak: Leak = Field(description="its kind; docs/audit.md tells each")
    columns: tuple[Name, ...] = Field(
        (), description="those of the finding; none where it is rows as a whole"
    )
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="why it is none; it stands in the record and in the report"
    )


class Training(Declared):
    """Which algorithms, judged by what, and when.

    A model is trained at `first` and then each `every`, with what was known at `features.at` of
    that day.
    """

    algorithms: tuple[Name, ...] = Field((), description="names of the catalogue")
    preset: Literal["quick", "good", "best"] | None = Field(
        None, description="many models as one, fitted beside `algorithms` or alone"
    )
    engines: dict[Name, Literal["ray_train", "spark"]] = Field(
        default_factory=dict, description="algorithm -> what fits it on more rows than one node has"
    )
    parameters: dict[Name, dict[str, Any]] = Field(  # any JSON value
        default_factory=dict,
        description="algorithm -> parameter -> a value that is fixed, a list to choose from, or "
        "`{low, high, log}` to search in, instead of what `headrace algorithms NAME` lists",
    )
    budgets: dict[Name, dict[Literal["rows", "columns", "cells"], Most]] = Field(
        default_factory=dict,
        description="algorithm -> `rows`, `columns`, `cells` that one fit takes at most",
    )
    workers: Annotated[int, Field(strict=True, ge=1, le=10_000)] = Field(
        2, description="processes of a `ray_train` fit, one core each"
    )
    sample: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="the most training rows that one node reads; `engines` read all"
    )
    time_limit: Limit = Field(
        timedelta(minutes=10), description="for each of the two fits of the preset"
    )
    metric: Metric = Field(
        Metric.ROC_AUC, description="`log_loss` for multiclass and `rmse` for regression"
    )
    calibration: Literal["none", "auto", "isotonic", "platt", "temperature"] = Field(
        "none", description="how probabilities are corrected on validation; `auto` chooses"
    )
    trials: Annotated[int, Field(strict=True, ge=1, le=10_000)] = Field(
        6, description="settings tried per algorithm that has ranges"
    )
    sampler: Literal["tpe", "random", "grid"] = Field(
        "tpe", description="how a trial's parameters are drawn, after the known strong ones"
    )
    scheduler: Literal["none", "rungs", "asha"] | None = Field(
        None,
        description="how poor trials end early; `asha` depends on timing; "
        "`rungs` from 18 trials on where nothing is said",
    )
    search_time_limit: Limit | None = Field(
        None, description="for all trials together; the result then depends on timing"
    )
    trial_time_limit: Limit = Field(
        timedelta(hours=1), description="for one trial, which is then taken to hang, and has failed"
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = Field(
        7, description="of all that is drawn: the same seed finds the same model"
    )
    first: Day = Field(description="the first day of a training")
    every: Days = Field(description="from one training to the next")
    allow: tuple[Allowance, ...] = Field((), description="findings of the audit that may stand")
    slices: tuple[Name, ...] = Field((), description="features to judge the model by")
    inspect: Annotated[bool, Field(strict=True)] = Field(
        True, description="whether the shipped model is looked at from all sides"
    )
