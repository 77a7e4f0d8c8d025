"""Which algorithms to try first for a problem, and why; a small table, no measurement."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.models.algorithms import CATALOGUE, baselines, named
from headrace.models.algorithms.algorithm import Algorithm, Family, Task

_SMALL, _LARGE = 10_000, 10_000_000  # rows
_MANY_CLASSES = 50

# Task, then what to try of few, many and very many rows.
_FIRST: dict[Task, tuple[tuple[str, ...], ...]] = {
    Task.BINARY: (
        ("logistic_regression", "random_forest", "svm", "gaussian_process", "lightgbm"),
        ("lightgbm", "xgboost", "random_forest", "logistic_regression"),
        ("lightgbm", "logistic_regression"),
    ),
    Task.MULTICLASS: (
        ("lda", "logistic_regression", "k_nearest_neighbors", "random_forest", "lightgbm"),
        ("lightgbm", "xgboost", "random_forest", "logistic_regression"),
        ("lightgbm", "logistic_regression"),
    ),
    Task.REGRESSION: (
        ("ridge", "elastic_net", "gaussian_process", "svr", "lightgbm"),
        ("lightgbm", "xgboost", "random_forest", "elastic_net"),
        ("lightgbm", "ridge"),
    ),
}
_READ = ("decision_list", "decision_tree", "logistic_regression", "ridge", "chaid")
_LINES = ("elastic_net", "ridge", "glm", "linear_regression")
_SIZES = (
    f"under {_SMALL:,} rows a fit is cheap: steady methods first",
    "enough rows for boosting and forests",
    f"over {_LARGE:,} rows only what reads each row a few times",
)


@dataclass(frozen=True)
class Problem:
    """What is known of a problem before anything is fitted.

    Attributes:
        task: The kind of target.
        rows: With a known target.
        columns: Features.
        classes: Of a multiclass target.
        explain: Whether people must be able to read the model.
        export: A form that the model must be written in, such as `sql`; empty for none.
        extrapolate: Whether targets beyond those seen must be predicted.
        unequal_costs: Whether one kind of error costs more than the other.
    """

    task: Task
    rows: int
    columns: int
    classes: int = 2
    explain: bool = False
    export: str = ""
    extrapolate: bool = False
    unequal_costs: bool = False


@dataclass(frozen=True)
class Proposal:
    """One algorithm to try.

    Attributes:
        algorithm: Its entry.
        why: The reason, for people.
    """

    algorithm: Algorithm
    why: str


@dataclass(frozen=True)
class Choice:
    """What to try, in this order.

    Attributes:
        proposals: Baselines first.
        left_out: Name to why it would else have been proposed, and is not.
        notes: What else to do.
    """

    proposals: tuple[Proposal, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]


def choose(problem: Problem) -> Choice:
    """The algorithms to try for a problem.

    Example:
        >>> found = choose(Problem(Task.BINARY, rows=50_000, columns=20))
        >>> [each.algorithm.name for each in found.proposals][-4:-2]
        ['lightgbm', 'xgboost']
    """
    first = [Proposal(entry, _of_baseline(entry, problem)) for entry in baselines(problem.task)]
    names, why = _candidates(problem)
    left_out, kept = {}, []
    for name in dict.fromkeys(names):
        entry = named(name)
        if problem.task in entry.tasks:
            against = _against(entry, problem)
            if against:
                left_out[name] = against
            else:
                kept.append(Proposal(entry, why))
    return Choice((*first, *kept), left_out, tuple(_notes(problem, kept)))


def _of_baseline(entry: Algorithm, problem: Problem) -> str:
    if problem.export and problem.export not in entry.exports:
        return f"a baseline: to be beaten beyond noise; it is not written as {problem.export}"
    return "a baseline: ship it unless a model beats it beyond noise"


def _candidates(problem: Problem) -> tuple[tuple[str, ...], str]:
    size = (problem.rows >= _SMALL) + (problem.rows > _LARGE)
    names, why = _FIRST[problem.task][size], _SIZES[size]
    if problem.task is Task.MULTICLASS and problem.classes > _MANY_CLASSES:
        why = f"{problem.classes:,} classes: methods that share work between classes"
        names = ("logistic_regression", "lda", "k_nearest_neighbors", "random_forest")
    if problem.extrapolate and problem.task is Task.REGRESSION:
        names, why = _LINES, "follows its line beyond the data, which trees do not"
    if problem.explain:
        names, why = _READ, "people can read it"
    if problem.export:
        names = (*names, *(entry.name for entry in CATALOGUE))
        why = f"can be written as {problem.export}"
    return names, why


def _against(entry: Algorithm, problem: Problem) -> str:
    """Why an entry is not proposed; empty where it is."""
    most = entry.budget
    if problem.rows > most.rows or problem.columns > most.columns:
        twins = f"; over it: {', '.join(entry.choices)}" if entry.choices else ""
        return f"over its budget of {most.rows:,} rows by {most.columns:,} columns{twins}"
    if problem.rows * problem.columns > most.cells:
        return f"over its budget of {most.cells:,} cells"
    if problem.export and problem.export not in entry.exports:
        return f"is not written as {problem.export}"
    flat = {Family.TREES, Family.BOOSTING, Family.NEIGHBORS, Family.RULES}
    if problem.extrapolate and problem.task is Task.REGRESSION and entry.family in flat:
        return "does not extrapolate"
    return ""


def _notes(problem: Problem, kept: list[Proposal]) -> list[str]:
    found = ["first ask whether a rule or a look-up does: `best_lookup` and `decision_list` tell"]
    if not kept:
        found.append("nothing fits: sample the rows in the spec, or fit a model per key")
    if problem.unequal_costs:
        found.append(
            "errors cost differently: judge by log loss, and say what they cost in "
            "`target.costs`, so that the threshold that costs least on validation decides"
        )
    if problem.extrapolate:
        found.append("watch forecasts far from the recent level: hold those that are")
    if any(each.algorithm.extra for each in kept):
        found.append("those with an extra need `pip install 'headrace[<extra>]'`")
    return found
