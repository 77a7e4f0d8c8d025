"""Groups that stand in two parts, such as a patient in training and in test."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.subject import Subject
from headrace.evaluation.blocks import names_of
from headrace.masking import MASK
from headrace.spec.training import Leak

_SHOWN = 3


def shared_groups(subject: Subject) -> list[Finding | NotJudged]:
    """Declared groups of which a part of the rows is in training and a part is later.

    Texts are compared without their case and the space around them: `P-07` is `p-07 `. A row
    without a group is in none.
    """
    groups = subject.roles.groups
    if not groups or not len(subject.train) or not len(subject.later):
        return []
    names = names_of(subject.table.select(list(groups)))
    train, later = (names.take(pa.array(part)) for part in (subject.train, subject.later))
    shared = pc.is_in(later, value_set=pc.unique(train.drop_null()), skip_nulls=True)
    rows = int(pc.sum(shared).as_py() or 0)
    if not rows:
        return []
    both = pc.unique(later.filter(shared))
    total = len(pc.unique(pa.concat_arrays([train, later]).drop_null()))
    what = ", ".join(groups)
    examples = [str(each)[:80] for each in both[:_SHOWN].to_pylist()]
    if not subject.roles.hidden.isdisjoint(groups):
        examples = [MASK] * len(examples)
    return [
        Finding(
            Leak.SHARED_GROUPS,
            groups,
            f"{len(both):,} of {total:,} groups ({what}) are in training and in a later part, with "
            f"{rows:,} of {len(subject.later):,} rows of validation and test",
            f"give each {what} to one part; or, if the model will meet the same ones again when it "
            "predicts, take them out of `split.groups`",
            {
                "groups": len(both),
                "of": total,
                "rows": rows,
                "of_rows": len(subject.later),
                "examples": examples,
            },
        )
    ]
