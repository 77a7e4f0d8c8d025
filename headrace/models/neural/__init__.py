"""A small neural network for tables, RealMLP-TD, in plain numpy: one thread, single precision."""

from headrace.models.neural.network import Shape
from headrace.models.neural.prediction import predict
from headrace.models.neural.training import fit

__all__ = ["Shape", "fit", "predict"]
