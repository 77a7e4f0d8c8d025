"""A small neural network for tables, RealMLP-TD, in plain numpy: one thread, single precision."""

from headrace.models.methods.neural.network import Shape
from headrace.models.methods.neural.prediction import predict
from headrace.models.methods.neural.training import fit

__all__ = ["Shape", "fit", "predict"]
