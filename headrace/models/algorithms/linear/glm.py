"""Generalised linear models with a logarithmic link, their offset and their exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.errors import TrainingError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Family,
    Fitted,
    Matrix,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import converging, described, made, weighted
from headrace.models.algorithms.linear.coefficients import (
    BUDGET,
    ONE_HOT,
    cells,
    coefficients,
    predict_linear,
)
from headrace.models.algorithms.space import choice, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric


_NOTHING = 1e-12  # of mean and deviation: within it a value that was standardised is 0


@dataclass(frozen=True)
class _Given:
    """A column of the matrix whose coefficient is 1, not learned: its place, and how it is scaled.

    Attributes:
        place: In the matrix.
        mean: What was taken off, and
        scale: what it was divided by then.
    """

    place: int
    mean: float
    scale: float

    def __call__(self, X: Matrix) -> Floats:
        """The values, one per row."""
        return cells(X, self.place, self.mean, self.scale)


def _fit_glm(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Poisson, gamma or Tweedie with a logarithmic link.

    `offset` and `exposure` name features: the linear predictor has the one, and the logarithm of
    the other, as a term with the coefficient 1.
    """
    given: dict[str, Any] = {**parameters}
    family = given.pop("family")
    names = {role: given.pop(role, "") for role in ("offset", "exposure")}
    given["power"] = {"poisson": 1.0, "gamma": 2.0}.get(family, given["power"])
    _check_target(train, family)
    found = {role: _found(train, name, role) for role, name in names.items() if name}
    model = made("sklearn.linear_model.TweedieRegressor", {**given, "link": "log"})
    estimator = described(train)
    with converging():
        if not found:
            model.fit(train.X, train.y, **weighted(train))
        else:
            _fit_given(model, train, found)
    if "exposure" in found:
        told = found["exposure"]
        estimator["exposure"] = [told.place, told.mean, told.scale]
    return Fitted(coefficients(estimator, model, link="log"))


def _check_target(train: Samples, family: str) -> None:
    least = train.y.min()
    if least < 0 or (family == "gamma" and least == 0):
        message = f"a {family} target is {'above' if family == 'gamma' else 'at least'} 0"
        raise TrainingError(message, hint=f"the least here is {least:g}; take another family")
    if train.y.max() == 0:
        message = "every value of the target is 0"
        raise TrainingError(message, hint="a logarithmic link has no 0; look at the target")


def _found(train: Samples, name: str, role: str) -> _Given:
    """The column of an offset or an exposure; it has a value in every row.

    Raises:
        TrainingError: There is no such number, or not in every row.
    """
    from headrace.models.encoding import Kind, spans

    index = next((i for i, column in enumerate(train.columns) if column.name == name), None)
    if index is None or train.columns[index].kind is not Kind.NUMBER:
        message = f"the {role} `{name}` is no number among the features"
        raise TrainingError(message, hint="name a feature, and make a number of it")
    column, place = train.columns[index], spans(train.columns)[index].start
    found = _Given(place, column.mean, column.scale)
    missing = int(train.X[:, [place + 1]].sum()) if column.missing else 0
    least = _NOTHING * max(abs(column.mean), column.scale)
    low = int((found(train.X) <= least).sum()) if role == "exposure" else 0
    if missing or low:
        told = f"missing in {missing:,}" if missing else f"not above 0 in {low:,}"
        message = f"the {role} `{name}` is {told} of {train.X.shape[0]:,} rows"
        hint = "give it a value in `features`, or send such rows to quarantine by a check"
        raise TrainingError(message, hint=hint)
    return found


def _fit_given(model: Any, train: Samples, given: dict[str, _Given]) -> None:  # noqa: ANN401
    """Fits the other columns beside terms that are given.

    The deviance of power p has d(cy, cm) = c^(2-p) d(y, m). So a fit to y with the term o in its
    predictor is the fit to y / exp(o) with the weights w exp(o)^(2-p), for which `alpha` is
    multiplied by the sum of w over that of the new weights, as scikit-learn divides by the latter.

    Source: McCullagh and Nelder 1989, Generalized Linear Models, 2.2 and 6.3 for offsets.
    """
    import numpy as np
    from scipy.sparse import diags  # type: ignore[import-untyped]  # it ships no types

    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    terms = [np.log(g(train.X)) if role == "exposure" else g(train.X) for role, g in given.items()]
    term = np.sum(terms, axis=0)
    middle = float(np.average(term, weights=weight))  # the intercept has it
    with np.errstate(all="ignore"):
        factor = np.exp(term - middle)
        scaled = weight * factor ** (2 - model.power)
        target = train.y / factor
    if not (np.isfinite(scaled).all() and np.isfinite(target).all()):
        reach = f"{term.min():g} to {term.max():g}"
        message = f"{' and '.join(given)}: {reach} is added to the logarithm of a prediction"
        hint = "no number is so large; what predictions are proportional to is an `exposure`"
        raise TrainingError(message, hint=hint)
    model.alpha *= float(weight.sum() / scaled.sum())
    others = np.ones(train.X.shape[1])
    others[[g.place for g in given.values()]] = 0.0  # what is 0 in every row gets no coefficient
    model.fit(train.X @ diags(others), target, sample_weight=scaled)
    model.intercept_ -= middle
    if "offset" in given:
        offset = given["offset"]
        model.coef_[offset.place] = offset.scale
        model.intercept_ += offset.mean


GLM = Algorithm(
    name="glm",
    title="Generalised linear model: Poisson, gamma, Tweedie",
    tasks=frozenset({Task.REGRESSION}),
    needs=ONE_HOT,
    fit=_fit_glm,
    predict=predict_linear,
    save_as="skops",
    defaults={"family": "poisson", "power": 1.5, "alpha": 1e-3, "max_iter": 1000},
    optional={"offset": "", "exposure": ""},
    space={
        "family": choice("poisson", "tweedie", beside=("gamma",)),
        "power": uniform(1.1, 1.9),
        "alpha": log_uniform(1e-6, 10.0),
    },
    family=Family.LINEAR,
    when_not="the target may be below 0, or is no count, rate or amount",
    caveats=(
        "the link is the logarithm: effects multiply",
        "`exposure` names a feature that counts are proportional to, such as hours at risk, and "
        "`offset` one that is added to the logarithm",
        "`power` is used by `family: tweedie` alone; `family: gamma` takes targets above 0",
    ),
    budget=BUDGET,
    instead=("lightgbm",),
    aliases=(
        "poisson",
        "gamma",
        "tweedie",
        "poisson_regression",
        "gamma_regression",
        "tweedie_regression",
        "generalised_linear_model",
        "generalized_linear_model",
    ),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    source="McCullagh and Nelder 1989, Generalized Linear Models",
)
