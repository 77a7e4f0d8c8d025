"""Targets of classes and of values as questions of true or false, which the looks can judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.power import shares
from headrace.evaluation.audit.subject import Subject
from headrace.evaluation.metrics import Booleans, Floats
from headrace.models.algorithms.algorithm import Task
from headrace.spec.training import Leak

MOST_CLASSES = 3  # the most frequent ones
PERFECT_RANKS = 0.998  # a rank correlation that is surely above this
FEWEST = 100  # rows
ALPHA = 0.025
_FOLDS = 5
_ALMOST = 1 - 1e-12

Look = Callable[[Subject], list[Finding | NotJudged]]


@dataclass(frozen=True)
class Question:
    """One question, such as `state is 'late'`.

    Attributes:
        words: For people.
        subject: The table with the answer for a target.
    """

    words: str
    subject: Subject

    def put(self, look: Look) -> Iterator[Finding | NotJudged]:
        """What a look makes of it; findings say which question it was."""
        which = f" (true is: {self.words})"
        for told in look(self.subject):
            if isinstance(told, NotJudged):
                yield replace(told, why=told.why + which if "true" in told.why else told.why)
            else:
                sentence = told.sentence + which
                evidence = {**told.evidence, "true_is": self.words}
                yield replace(told, sentence=sentence, evidence=evidence)


def questions(subject: Subject, task: Task) -> list[Question]:
    """Whether it is this class, for the most frequent ones; or whether it is above the median.

    The median is that of the training rows.
    """
    name = subject.roles.target
    if task is Task.REGRESSION:
        middle = float(np.median(subject.y[subject.train])) if len(subject.train) else 0.0
        # Aggregates, such as a mean encoding, are made of the values themselves.
        above = replace(subject, y=_where(subject, subject.y > middle), value=subject.y)
        return [Question(f"{name} is above {middle:.6g}", above)]
    target = subject.table.column(name)
    counted = pc.value_counts(target.take(subject.places)).to_pylist()
    counted.sort(key=lambda each: (-each["counts"], each["values"]))
    return [
        Question(
            f"{name} is {each['values']!r}",
            replace(
                subject,
                y=_where(subject, pc.fill_null(pc.equal(target, each["values"]), False).to_numpy()),
            ),
        )
        for each in counted[:MOST_CLASSES]
    ]


def asked(look: Look, found: list[Question]) -> list[Finding | NotJudged]:
    """What a look makes of all questions: each column once; not judged only if none is."""
    told = [each for question in found for each in question.put(look)]
    findings: dict[tuple[str, ...], Finding] = {}
    for each in told:
        if isinstance(each, Finding):
            findings.setdefault(each.columns, each)
    missing = [each for each in told if isinstance(each, NotJudged)]
    return [*findings.values(), *(missing[:1] if len(missing) == len(found) else [])]


def perfect_ranks(subject: Subject) -> list[Finding | NotJudged]:
    """Features that rank the values of a target as they are, on rows they were not learned from.

    Held against a threshold that is far stricter than that of classes: a value of yesterday, or the
    size of a shop, may rightly tell nearly all of a value.
    """
    places = subject.sampled(subject.places)
    if len(places) < FEWEST:
        return [NotJudged(Leak.PERFECT_FEATURE, f"needs at least {FEWEST} rows in all parts")]
    found: list[Finding | NotJudged] = []
    for name in subject.roles.features:
        if name in subject.row_ids:
            continue  # judged as the order of rows
        rank, low = _rank_correlation(subject, name)
        if low > PERFECT_RANKS:
            found.append(
                Finding(
                    Leak.PERFECT_FEATURE,
                    (name,),
                    f"{name} alone tells the target nearly perfectly: rank correlation "
                    f"{rank:.4f} (at least {low:.4f}) on {len(places):,} rows that it was not "
                    "learned from",
                    f"find out when {name} is written; if it is after the event, or is made of the "
                    "target, take it out of `features`",
                    {
                        "rank_correlation": round(rank, 5),
                        "at_least": round(low, 5),
                        "rows": len(places),
                        "threshold": PERFECT_RANKS,
                    },
                )
            )
    return found


def _rank_correlation(subject: Subject, name: str) -> tuple[float, float]:
    """Spearman's, of the value itself or of its look-up, and its lower end by Fisher's z."""
    from scipy.stats import norm  # type: ignore[import-untyped]  # it ships no types

    places = subject.sampled(subject.places)
    fold = np.random.default_rng(subject.seed).permutation(len(places)) % _FOLDS
    cells, y = subject.cells[name], subject.y[places]
    values, looked_up = cells.values[places], np.empty(len(places))
    for n in range(_FOLDS):
        own, others = fold == n, fold != n
        looked_up[own] = shares(cells, values[others], y[others], asked=values[own])
    known = ~np.isnan(values)
    rank = abs(_spearman(y, looked_up))
    if not cells.is_category and known.sum() >= max(FEWEST, len(places) / 2):
        rank = max(rank, abs(_spearman(y[known], values[known])))
    # The deviation of z is a little over one for ranks (Bonett and Wright 2000).
    deviation = ((1 + rank**2 / 2) / (len(places) - 3)) ** 0.5
    low = np.tanh(np.arctanh(min(rank, _ALMOST)) - norm.isf(ALPHA) * deviation)
    return rank, float(low)


def _spearman(one: Floats, other: Floats) -> float:
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def _where(subject: Subject, true: Booleans) -> Floats:
    """1.0 where it is so, 0.0 where not, NaN where the target is not known."""
    answer: Floats = np.where(np.isnan(subject.y), np.nan, true.astype(np.float64))
    return answer
