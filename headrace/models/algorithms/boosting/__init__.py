"""Gradient boosting libraries, and AdaBoost."""

from headrace.models.algorithms.boosting.catboost import CATBOOST
from headrace.models.algorithms.boosting.lightgbm import LIGHTGBM
from headrace.models.algorithms.boosting.scikit import ADABOOST, HIST_GRADIENT_BOOSTING
from headrace.models.algorithms.boosting.xgboost import XGBOOST

__all__ = ["ADABOOST", "CATBOOST", "HIST_GRADIENT_BOOSTING", "LIGHTGBM", "XGBOOST"]
