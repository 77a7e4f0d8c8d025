"""The audit of a pipeline's gold: the roles its columns have, and what the lake tells of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from headrace.evaluation import audit as library
from headrace.evaluation.audit.judgement import Judgement, judge
from headrace.evaluation.audit.subject import Lookup, Roles
from headrace.evaluation.splits import Parts
from headrace.lake import Lake, Table
from headrace.lake.history import history
from headrace.masking import hidden_of
from headrace.spec.model import Pipeline

_AT = "_at"
_MOMENT = pa.timestamp("us", "UTC")
_DAY = timedelta(days=1)  # a run works after `at`: what came with it is not late


def audit_gold(rows: pa.Table, pipeline: Pipeline, *, parts: Parts, lake: Lake) -> Judgement:
    """Audits the rows of a training, held against the pipeline's allowances; writes nothing.

    Args:
        rows: With `_interval`, key, features and target.
        pipeline: What is declared.
        parts: Which rows are in which part.
        lake: Whose history of the look-ups counts.
    """
    days = rows.column("_interval").to_numpy()
    found, place = np.unique(days, return_inverse=True)
    moments = [pipeline.at(day).astimezone(UTC) for day in found.tolist()]
    rows = rows.append_column(_AT, pa.array(moments, _MOMENT).take(pa.array(place)))
    lookups = []
    for called, declared in pipeline.features.lookups.items():
        source = declared.source(called)
        if pipeline.sources[source].valid_from is not None:
            continue  # each row has its own moment, and is used as it was known
        arrived = _arrivals(rows, pipeline, lake, called, last=max(moments, default=None))
        name = None
        if arrived is not None:
            name = f"_arrived_{called}"
            rows = rows.append_column(name, arrived)
        by = tuple(each for each in declared.on if each in rows.column_names)
        complete = len(by) == len(declared.on)
        columns = tuple(declared.columns)
        lookups.append(Lookup(source, columns, by=by if complete else (), arrived=name))
    features = pipeline.features.names
    key = pipeline.sources[pipeline.features.rows].key
    numbering = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
    roles = Roles(
        target=pipeline.target.name,
        features=features,
        key=key,
        groups=pipeline.split.groups,
        interval="_interval",
        at=_AT,
        lookups=tuple(lookups),
        hidden=hidden_of(pipeline, f"gold/{pipeline.name}"),
        order=tuple(
            name
            for name in key
            if name not in features
            and any(is_one(rows.schema.field(name).type) for is_one in numbering)
        ),
    )
    audited = library.audit(
        rows,
        roles=roles,
        parts={part.name: part.rows for part in parts},
        seed=pipeline.training.seed,
        task=pipeline.target.task,
    )
    return judge(audited, pipeline.training.allow)


def _arrivals(
    rows: pa.Table, pipeline: Pipeline, lake: Lake, name: str, *, last: datetime | None
) -> pa.Array | None:
    """When the lake first held the entry that each row was given, a day of grace taken off.

    None where it cannot matter: one batch, or only intervals before the lake had any.
    """
    lookup = pipeline.features.lookups[name]
    source = lookup.source(name)
    silver = Table.if_exists(lake.silver(source))
    batches = {
        event.unit.rpartition("/")[2]: event.at
        for event in reversed(history(lake.root, (f"silver/{source}",), subject=source))
        if event.unit.split("/")[1] == "check"
    }
    if silver is None or len(batches) <= 1 or last is None:
        return None
    first = min(batches.values())
    if last < first:
        return None
    pairs = dict(lookup.pairs(pipeline.sources[source]))
    on, key = tuple(pairs), tuple(pairs.values())
    entries = silver.arrow([*key, "_batch"])
    moments = [batches.get(batch) for batch in entries["_batch"].to_pylist()]
    graced = [None if at is None else max(first, at - _DAY) for at in moments]
    entries = entries.select(list(key)).append_column("_arrived", pa.array(graced, _MOMENT))
    wanted = rows
    if not set(on) <= set(rows.column_names):
        wanted = _with_columns(rows, pipeline, lake, on)
    given = wanted.select(list(on)).append_column("_place", pa.array(np.arange(rows.num_rows)))
    joined = given.join(
        entries, keys=list(on), right_keys=list(key), join_type="left outer", use_threads=False
    )
    return joined.sort_by("_place")["_arrived"].combine_chunks()


def _with_columns(
    rows: pa.Table, pipeline: Pipeline, lake: Lake, columns: tuple[str, ...]
) -> pa.Table:
    """The rows with columns of their source that gold does not keep."""
    name = pipeline.features.rows
    key = pipeline.sources[name].key
    source = Table(lake.silver(name)).arrow(list(dict.fromkeys((*key, *columns))))
    placed = rows.select(list(key)).append_column("_place", pa.array(np.arange(rows.num_rows)))
    joined = placed.join(source, keys=list(key), join_type="left outer", use_threads=False)
    return joined.sort_by("_place")  # one row each: a key is unique in silver
