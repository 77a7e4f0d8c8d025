"""The leakage audit: what a table tells of its target that no prediction could know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from headrace.evaluation.audit.finding import Audited, Finding, NotJudged
from headrace.evaluation.audit.fitted import fitted_on_test
from headrace.evaluation.audit.groups import shared_groups
from headrace.evaluation.audit.lookups import rebuilt_lookups
from headrace.evaluation.audit.moments import known_after_at
from headrace.evaluation.audit.order import row_order
from headrace.evaluation.audit.predictors import collapsing_features, perfect_features
from headrace.evaluation.audit.questions import asked, perfect_ranks, questions
from headrace.evaluation.audit.repeats import repeated_rows
from headrace.evaluation.audit.subject import Lookup, Roles, Subject
from headrace.models.algorithms.algorithm import Task
from headrace.spec.training import Leak

__all__ = ["Audited", "Finding", "Leak", "Lookup", "NotJudged", "Roles", "audit"]

_LOOKS: Mapping[Leak, Callable[[Subject], list[Finding | NotJudged]]] = {
    Leak.PERFECT_FEATURE: perfect_features,
    Leak.COLLAPSING_FEATURE: collapsing_features,
    Leak.REPEATED_ROWS: repeated_rows,
    Leak.SHARED_GROUPS: shared_groups,
    Leak.KNOWN_AFTER_AT: known_after_at,
    Leak.REBUILT_LOOKUP: rebuilt_lookups,
    Leak.FITTED_ON_TEST: fitted_on_test,
    Leak.ROW_ORDER: row_order,
}
# Looks that have no question of true or false; the others are put one.
_OF_ANY_TARGET = {Leak.SHARED_GROUPS, Leak.REPEATED_ROWS}
_NEED_A_TARGET = set(Leak) - _OF_ANY_TARGET


def audit(
    table: pa.Table,
    *,
    roles: Roles,
    parts: Mapping[str, Sequence[int]],
    seed: int = 7,
    task: Task = Task.BINARY,
) -> Audited:
    """Looks for leaks of every kind; the same table and seed give the same findings.

    A target of classes is judged class by class, the most frequent ones against the rest; one of
    values by whether it is above the median, and by ranks where a feature may be the target itself.

    Args:
        table: Rows of all parts; others are not looked at.
        roles: What its columns are for.
        parts: `train`, `validation`, `test` -> places of their rows.
        seed: Of folds, and of samples of large tables.
        task: The kind of target.
    """
    subject = Subject.of(table, roles, parts=parts, seed=seed)
    put = None if task is Task.BINARY else questions(subject, task)
    findings: list[Finding] = []
    not_judged: list[NotJudged] = []
    for leak, look in _LOOKS.items():
        if leak in _NEED_A_TARGET and not subject.has_both_classes:
            not_judged.append(NotJudged(leak, "the target is the same in all rows"))
            continue
        if put is None or leak in _OF_ANY_TARGET:
            looked = look(subject)
        elif (leak, task) == (Leak.PERFECT_FEATURE, Task.REGRESSION):
            looked = perfect_ranks(subject)
        else:
            looked = asked(look, put)
        for told in looked:
            if isinstance(told, Finding):
                findings.append(told)
            else:
                not_judged.append(told)
    return Audited(tuple(findings), tuple(not_judged))
