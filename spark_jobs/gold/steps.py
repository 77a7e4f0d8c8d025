"""Steps: functions of the user's own, DataFrame in, DataFrame out, held to what they promise."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

from pyspark.sql import DataFrame
from pyspark.sql.types import AtomicType, BinaryType, DataType, NullType

from headrace.errors import FeatureError
from headrace.spec.forms import Step
from headrace.spec.model import Pipeline


def with_steps(rows: DataFrame, pipeline: Pipeline) -> DataFrame:
    """Adds what each step adds, in the order of the pipeline file.

    Raises:
        FeatureError: A step failed, or returned something else than its rows with `adds`.
    """
    for index, step in enumerate(pipeline.features.steps):
        rows = _with_step(rows, step, pipeline.place(f"features.steps[{index}]"))
    return rows


def _with_step(rows: DataFrame, step: Step, place: str) -> DataFrame:
    module, _, function = step.function.partition(":")
    try:
        made: object = getattr(import_module(module), function)(rows)
    except Exception as error:
        message = f"step {step.function} failed: {type(error).__name__}: {error}"
        raise FeatureError(message, at=place, hint="mend the function") from error
    if not isinstance(made, DataFrame):
        message = f"step {step.function} returned {type(made).__name__}, not a DataFrame"
        raise FeatureError(message, at=place, hint="return the frame it was given, with `adds`")
    doubled = [name for name, times in Counter(made.columns).items() if times > 1]
    if doubled:
        message = f"step {step.function} returned column {doubled[0]} twice"
        raise FeatureError(message, at=place, hint="join with one of the two dropped")
    odd = [n for n in step.adds if n in made.columns and not _is_plain(made.schema[n].dataType)]
    if odd:
        kind = made.schema[odd[0]].dataType.simpleString()
        message = f"step {step.function} made {odd[0]} of type {kind}, which no feature can be"
        raise FeatureError(message, at=place, hint="cast it to int, double, string or the like")
    lost = [name for name in (*rows.columns, *step.adds) if name not in made.columns]
    if lost:
        shown = sorted(lost, key=lambda name: name.startswith("_"))[:8]  # ours last
        message = f"step {step.function} returned no column {', '.join(shown)}"
        raise FeatureError(
            message, at=place, hint="return the frame it was given, with `adds` added to it"
        )
    return made.select(*rows.columns, *(name for name in step.adds if name not in rows.columns))


def _is_plain(kind: DataType) -> bool:
    return isinstance(kind, AtomicType) and not isinstance(kind, BinaryType | NullType)
