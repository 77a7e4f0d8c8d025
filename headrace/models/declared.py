"""An entry of the catalogue as a pipeline has it: its parameters, its ranges, its budget."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.errors import UsageError
from headrace.models.algorithms import CATALOGUE, named
from headrace.models.algorithms.algorithm import Algorithm, Family
from headrace.models.algorithms.space import Choice, Dimension, Range, Scalar
from headrace.spec.problems import listed, shown, unknown
from headrace.spec.training import Training

NAMES_FEATURE = ("offset", "exposure")  # what of a feature a model takes as given

_BOUNDS = ("low", "high", "log")
_FARTHEST = 1e15  # of a bound: beyond, samplers have no whole numbers, and no width
_MEMBERS = [  # of ensembles
    entry.name for entry in CATALOGUE if not entry.baseline and entry.family is not Family.ENSEMBLES
]


def declared(name: str, training: Training) -> Algorithm:
    """The entry, with what the pipeline says of it in place of its own.

    A value is fixed: it is the default, and no longer searched. A list, or `low` and `high`, is
    searched instead of the entry's own range; a default beyond it gives way to what is nearest.

    Args:
        name: Of the catalogue.
        training: As the pipeline declares it.

    Raises:
        UsageError: There is no such algorithm, or a parameter is not as `setting_problem` asks.
    """
    entry = named(name)
    entry = replace(entry, budget=replace(entry.budget, **training.budgets.get(name, {})))
    if name == "preset" and training.preset is not None:
        seconds = training.time_limit.total_seconds()
        return replace(entry, defaults={"preset": training.preset, "time_limit": seconds})
    defaults, space = {**entry.defaults}, {**entry.space}
    for parameter, given in training.parameters.get(name, {}).items():
        if problem := setting_problem(entry, parameter, given):
            message = f"training.parameters.{name}.{parameter}: {problem}"
            raise UsageError(message, hint=f"`headrace algorithms {name}` lists its parameters")
        found = searched(entry, parameter, given)
        if found is None:
            space.pop(parameter, None)
            defaults[parameter] = given
        else:
            owner, own = _of_member(entry, parameter)
            space[parameter] = found
            defaults[parameter] = _nearest(found, owner.parameters[own])
    return replace(entry, defaults=defaults, space=space)


def searched(entry: Algorithm, parameter: str, given: object) -> Dimension | None:
    """What a setting without a problem is searched in; None where it is one value."""
    if isinstance(given, Mapping):
        known, _ = _kinds(*_of_member(entry, parameter))
        log = given.get("log", False)
        return Range(given["low"], given["high"], "integer" if _is_whole(known) else "real", log)
    is_one = isinstance(entry.parameters.get(parameter), list)  # such as the members of an ensemble
    return Choice(tuple(given)) if isinstance(given, list) and not is_one else None


def setting_problem(entry: Algorithm, parameter: str, given: object) -> str | None:
    """Why a pipeline cannot say this of a parameter, if so.

    Args:
        entry: Whose parameter.
        parameter: Its name; of a member of an ensemble, `member.parameter`.
        given: A value, a list of values, or a mapping of `low`, `high` and maybe `log`.

    Example:
        >>> setting_problem(named("k_nearest_neighbors"), "metric", "cosin")
        "no value 'cosin'; did you mean 'cosine'?"
    """
    owner, own = _of_member(entry, parameter)
    if own not in owner.parameters:
        return unknown("parameter", own, owner.parameters, of=owner.name)
    if owner is not entry and own in NAMES_FEATURE:
        return f"{entry.name} gives its members no {own}: take {owner.name} by itself"
    return _given_problem(owner, own, given)


def _given_problem(entry: Algorithm, parameter: str, given: object) -> str | None:
    """What does not fit in a value, a list or a range of a parameter that there is."""
    if parameter == "of":
        return _members_problem(given, several=isinstance(entry.parameters[parameter], list))
    if not isinstance(given, Mapping | list):
        return _value_problem(entry, parameter, given)
    if parameter == entry.resource.parameter:
        return "is what a search gives bit by bit: give it one value, the most"
    if isinstance(given, Mapping):
        return _range_problem(entry, parameter, given)
    problems = (_value_problem(entry, parameter, each) for each in given)
    return next(filter(None, problems), None) if given else "name a value to choose from"


def _of_member(entry: Algorithm, parameter: str) -> tuple[Algorithm, str]:
    """Whose parameter it is: the member's, where an ensemble is given one of `member.parameter`."""
    member, _, own = parameter.partition(".")
    is_of_member = own and entry.family is Family.ENSEMBLES and member in _MEMBERS
    return (named(member), own) if is_of_member else (entry, parameter)


def _members_problem(given: object, *, several: bool) -> str | None:
    """What an ensemble is made of: one algorithm, or a list of them."""
    if not given or not isinstance(given, list if several else str):
        return f"must be {'a list of algorithms' if several else 'the name of one algorithm'}"
    several_or_one = given if isinstance(given, list) else [given]
    strangers = [each for each in several_or_one if each not in _MEMBERS]
    return unknown("member", str(strangers[0]), _MEMBERS) if strangers else None


def _value_problem(entry: Algorithm, parameter: str, given: object) -> str | None:
    """A value must be of the kind that the parameter has, and a text one of those it knows."""
    known, is_number = _kinds(entry, parameter)
    texts = list(dict.fromkeys(each for each in known if isinstance(each, str)))
    has_truth = any(isinstance(each, bool) for each in known)
    if given is None or isinstance(given, bool):
        fits = has_truth if given is not None else None in known
    elif isinstance(given, int | float):
        fits = is_number and abs(given) <= sys.float_info.max  # so no NaN
        if fits and isinstance(given, float) and _is_whole(known):
            return f"must be a whole number, not {shown(given)}"
    else:
        fits = isinstance(given, str) and bool(texts)
        if fits and parameter in entry.space and given not in texts:
            return unknown("value", str(given), texts)
    if fits:
        return None
    wanted = ["a number"] * is_number + ["true or false"] * has_truth + [*filter(None, texts)]
    return f"must be {listed(wanted) or 'a name'}, not {shown(given)}"


def _range_problem(entry: Algorithm, parameter: str, given: Mapping[str, Any]) -> str | None:
    strangers = sorted(given.keys() - {*_BOUNDS})
    if strangers:
        return unknown("such key", strangers[0], _BOUNDS)
    if not _kinds(entry, parameter)[1]:
        return "takes no range: list the values to choose from"
    low, high, log = given.get("low"), given.get("high"), given.get("log", False)
    bounds = [each for each in (low, high) if isinstance(each, int | float)]
    if len(bounds) < 2 or not isinstance(log, bool):  # noqa: PLR2004  # low and high
        return "a range has the numbers `low` and `high`, and maybe `log: true`"
    problems = (_value_problem(entry, parameter, each) for each in bounds)
    if problem := next(filter(None, problems), None):
        return problem
    if not low < high or (log and low <= 0):  # type: ignore[operator]  # both are numbers
        return "`low` must be below `high`, and above 0 where it is `log`"
    is_far = any(abs(each) > _FARTHEST for each in bounds)
    return f"`low` and `high` must lie within {_FARTHEST:g} of 0" if is_far else None


def _kinds(entry: Algorithm, parameter: str) -> tuple[list[Scalar], bool]:
    """Values that a parameter is known to take, and whether it takes numbers."""
    known: list[Any] = [entry.parameters[parameter]]
    dimension = entry.space.get(parameter)
    if isinstance(dimension, Choice):
        known += [*dimension.values, *dimension.beside]
    elif isinstance(dimension, Range):
        known += [int(dimension.low) if dimension.kind == "integer" else dimension.low]
        known += dimension.beside
    numbers = [each for each in known if isinstance(each, int | float)]
    return known, any(not isinstance(each, bool) for each in numbers)


def _is_whole(known: list[Scalar]) -> bool:
    return all(isinstance(each, int) for each in known if not isinstance(each, str | None))


def _nearest(dimension: Dimension, default: Any) -> Scalar:  # noqa: ANN401  # of any entry
    """The default, or what of the dimension is nearest to it."""
    if default in dimension:
        return default  # type: ignore[no-any-return]  # a value of the dimension
    if isinstance(dimension, Choice):
        return min(dimension.values, key=lambda each: _distance(each, default))
    is_above = isinstance(default, int | float) and default > dimension.high
    return dimension.high if is_above else dimension.low


def _distance(value: object, default: object) -> float:
    """Between numbers; all that are none are as far."""
    numbers = [each for each in (value, default) if isinstance(each, int | float)]
    return abs(numbers[0] - numbers[1]) if len(numbers) == 2 else math.inf  # noqa: PLR2004  # both
