"""Kernel methods: support vectors, their approximation for more rows, Gaussian processes."""

from headrace.models.algorithms.kernels.nystroem import SVM_NYSTROEM
from headrace.models.algorithms.kernels.process import GAUSSIAN_PROCESS
from headrace.models.algorithms.kernels.values import fit_on_points, predict_expansion
from headrace.models.algorithms.kernels.vectors import SVM, SVR

__all__ = [
    "GAUSSIAN_PROCESS",
    "SVM",
    "SVM_NYSTROEM",
    "SVR",
    "fit_on_points",
    "predict_expansion",
]
