"""Ensembles of other entries: bagging, stacking, blending and weighted means.

Members are entries of the catalogue under their defaults; `name.parameter` gives one of them
another value, such as `lightgbm.num_leaves`. All take the matrix of codes; members that need
one-hot columns get them from it.
"""

from headrace.models.algorithms.ensembles.mean import BAGGING, WEIGHTED_ENSEMBLE
from headrace.models.algorithms.ensembles.stacking import BLENDING, STACKING

__all__ = ["BAGGING", "BLENDING", "STACKING", "WEIGHTED_ENSEMBLE"]
