"""Training, split and schedule: names that exist, and a cron line that means something."""

from __future__ import annotations

import re

from headrace.evaluation.metric import METRICS
from headrace.models.algorithms.algorithm import Task
from headrace.spec.model import Target
from headrace.spec.parts import Parts
from headrace.spec.problems import KEY, Findings, Loc, listed, near, shown, unknown
from headrace.spec.training import Split, Training

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_CRON: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _WEEKDAYS),
)
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,3}))?", re.ASCII)
_PRESETS = ("preset", "quick", "good", "best")


def training_problems(parts: Parts) -> Findings:
    """What does not fit in `training`, `split` and `schedule`."""
    if parts.training is not None:
        yield from _algorithms(parts.training.algorithms, parts.target)
        if not parts.training.algorithms and parts.training.preset is None:
            yield ("training", "algorithms"), "name at least one algorithm, or a `preset`"
        yield from _engines(parts.training)
        yield from _metric(parts.training, parts.target)
        if parts.target and parts.target.task is Task.REGRESSION:
            yield from _calibration(parts.training)
        for index, allowance in enumerate(parts.training.allow):
            at: Loc = ("training", "allow", index, "columns")
            yield from _columns(allowance.columns, parts, at=at)
        features = [name for name, _ in parts.named]
        yield from _budgets(parts.training)
        yield from _parameters(parts.training, features)
        yield from _members(parts.training, parts.target)
        for index, name in enumerate(parts.training.slices):
            if features and name not in features:
                yield ("training", "slices", index), unknown("feature", name, features)
        yield from _whole_intervals(parts.training, parts.split)
    if parts.split is not None:
        yield from _columns(parts.split.groups, parts, at=("split", "groups"))
        numbers = parts.target is not None and parts.target.task is Task.REGRESSION
        if parts.split.kind == "stratified" and numbers:
            yield ("split", "kind"), "`stratified` keeps classes; for a regression take `random`"
    if parts.schedule is not None and (problem := cron_problem(parts.schedule.cron)):
        yield ("schedule", "cron"), problem


def _columns(names: tuple[str, ...], parts: Parts, *, at: Loc) -> Findings:
    """Names that are neither features nor in the key of their rows."""
    known = parts.examples
    for index, name in enumerate(names):
        if known and name not in known:
            yield (*at, index), unknown("feature or key column", name, known)


def _metric(training: Training, target: Target | None) -> Findings:
    """A metric of another task; one that is not named is always of this."""
    if target is None or "metric" not in training.model_fields_set:
        return
    able = [str(metric) for metric in METRICS[target.task]]
    if training.metric not in able:
        told = f"{training.metric} does not judge a {target.task} target"
        yield ("training", "metric"), told + near(training.metric, able)


def _calibration(training: Training) -> Findings:
    """Values have no probabilities that could be corrected."""
    if training.calibration != "none":
        told = "a regression target has no probabilities to calibrate"
        yield ("training", "calibration"), f"{told}; leave {training.calibration} out"


def _algorithms(algorithms: tuple[str, ...], target: Target | None) -> Findings:
    from headrace.models.algorithms import CATALOGUE, meant, names, why_not_offered

    task = target.task if target else None
    able = [entry.name for entry in CATALOGUE if task is None or task in entry.tasks]
    for index, name in enumerate(algorithms):
        if why := why_not_offered(name):
            yield ("training", "algorithms", index), f"{shown(name)} is not offered: {why}"
        elif name in _PRESETS:
            told = f"{shown(name)} is no algorithm: say `preset: best` beside `algorithms`"
            yield ("training", "algorithms", index), told
        elif name not in names():
            yield (
                ("training", "algorithms", index),
                f"no algorithm {shown(name)}{near(meant(name), names())}",
            )
        elif name in algorithms[:index]:
            yield ("training", "algorithms", index), f"algorithm {shown(name)} stands twice"
        elif name not in able:
            told = f"{name} cannot learn a {task} target; there is {listed(able)}"
            yield ("training", "algorithms", index), told


def _engines(training: Training) -> Findings:
    """Engines of algorithms that are not trained, or that no such engine fits."""
    from headrace.models.algorithms import CATALOGUE

    for name, engine in training.engines.items():
        at: Loc = ("training", "engines", name)
        offered = next((entry.engines for entry in CATALOGUE if entry.name == name), ())
        if name not in training.algorithms:
            yield (*at, KEY), unknown("algorithm", name, training.algorithms)
        elif engine not in offered:
            able = f"its engine is {listed(offered)}" if offered else "it fits on one node alone"
            others = [entry.name for entry in CATALOGUE if engine in entry.engines]
            yield at, f"{engine} does not fit {name}: {able}; {engine} fits {listed(others)}"


def _budgets(training: Training) -> Findings:
    """Budgets of what is not trained."""
    trained = [*training.algorithms, *(["preset"] if training.preset else [])]
    for name in training.budgets:
        if name not in trained:
            yield ("training", "budgets", name, KEY), unknown("algorithm", name, trained)


def _parameters(training: Training, features: list[str]) -> Findings:
    """Parameters of algorithms that are not trained, or that they do not take."""
    from headrace.models.algorithms import CATALOGUE
    from headrace.models.declared import NAMES_FEATURE, searched, setting_problem

    entries = {entry.name: entry for entry in CATALOGUE if entry.name in training.algorithms}
    for name in training.parameters:
        if name not in training.algorithms:
            yield ("training", "parameters", name, KEY), unknown("algorithm", name, entries)
    for name, entry in entries.items():
        for parameter, given in training.parameters.get(name, {}).items():
            at: Loc = ("training", "parameters", name, parameter)
            if problem := setting_problem(entry, parameter, given):
                yield (at if parameter in entry.parameters else (*at, KEY)), problem
            elif name in training.engines and searched(entry, parameter, given):
                yield at, f"{training.engines[name]} fits {name} once: give it one value"
            elif parameter in NAMES_FEATURE and features:
                strangers = {*(given if isinstance(given, list) else [given])} - {*features}
                yield from ((at, unknown("feature", each, features)) for each in sorted(strangers))


def _members(training: Training, target: Target | None) -> Findings:
    """Members of ensembles that cannot learn the target, and parameters of what is no member."""
    from headrace.models.algorithms import CATALOGUE, named
    from headrace.models.algorithms.ensembles.members import members_of
    from headrace.models.declared import setting_problem

    ensembles = {each.name: each for each in CATALOGUE if "of" in each.parameters}
    if target is None:
        return
    for name in sorted(ensembles.keys() & training.parameters.keys()):
        entry, given = ensembles[name], training.parameters[name]
        if "of" in given and setting_problem(entry, "of", given["of"]):
            continue  # told already
        members = members_of({**entry.parameters, **given}, target.task)
        for member in members:
            if target.task not in named(member).tasks:
                told = f"{member} cannot learn a {target.task} target"
                yield ("training", "parameters", name, "of"), told
        for parameter, value in given.items():
            member, dot, _ = parameter.partition(".")
            is_known = setting_problem(entry, parameter, value) is None
            if dot and is_known and member not in members:
                at = ("training", "parameters", name, parameter, KEY)
                yield at, unknown("member", member, members, of=name)


def _whole_intervals(training: Training, split: Split | None) -> Findings:
    """Splits that neither an engine nor `sample` can read by whole intervals, or only once."""
    asked = [name for name in ("engines", "sample") if getattr(training, name)]
    if split is None or not asked:
        return
    if split.kind != "time":
        yield ("split", "kind"), f"`training.{asked[0]}` reads whole intervals: take `kind: time`"
    if training.engines:
        for name in (name for name in ("folds", "nested") if getattr(split, name)):
            yield ("split", name), "`training.engines` fit once, on all training rows: no folds"


def cron_problem(cron: str) -> str | None:
    """Why a cron line is refused, if it is.

    Example:
        >>> cron_problem("0 25 * * *")
        "'25' is no hour: 0 to 23"
    """
    fields = cron.split()
    if len(fields) != len(_CRON):
        return (
            f"{shown(cron)} must have five fields: minute, hour, day of the month, month, weekday"
        )
    for field, (name, least, most, words) in zip(fields, _CRON, strict=True):
        for item in field.split(","):
            match = _ITEM.fullmatch(item)
            if match is None or not _within(match, least, most, words):
                also = f" or {words[0]} to {words[-1]}" if words else ""
                return f"{shown(item)} is no {name}: {least} to {most}{also}"
    return None


def _within(match: re.Match[str], least: int, most: int, words: list[str]) -> bool:
    ends = [part.lower() for part in match.group("first", "last") if part]
    numbers = [int(end) for end in ends if end.isdigit()]
    named = [end for end in ends if end in words]
    in_range = all(least <= number <= most for number in numbers)
    step = match["step"] is None or int(match["step"]) > 0
    return in_range and step and len(numbers) + len(named) == len(ends)
