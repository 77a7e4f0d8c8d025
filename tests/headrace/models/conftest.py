from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe

ROWS = pa.table({"dest": ["A", "B", "A", "B"] * 50, "hour": [6, 7, 8, 9] * 50})


@pytest.fixture
def model_of():
    """Makes a small model of any algorithm; `moment` and `flip` make it another one."""

    def fitted(algorithm="class_prior", *, moment="2013-12-01T10:00:00+00:00", flip=False):
        entry = named(algorithm)
        encoding = Encoding.fit(ROWS, ["dest", "hour"], form=entry.needs.categories)
        y = np.array([0.0, 1.0, 0.0, 1.0] * 50)
        samples = Samples(encoding.matrix(ROWS), 1 - y if flip else y, encoding.categorical)
        parameters = {**entry.defaults, "columns": [0], "smoothing": 1}
        if not entry.baseline:
            parameters = dict(entry.defaults)
        estimator = entry.fit(
            samples, parameters, seed=7, validation=None, metric="roc_auc"
        ).estimator
        recipe = Recipe("flights", "late", algorithm, parameters, 7, moment, "data", "spec")
        return Model(recipe, encoding, estimator)

    return fitted


@pytest.fixture
def rows():
    return ROWS
