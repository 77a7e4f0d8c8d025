"""LightGBM's trees as machine code, for scoring: equal to 1e-9, not to the bit."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import SetupError

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats
    from headrace.models.algorithms.algorithm import Matrix
    from headrace.models.model import Model

_LINEAR_LEAVES = "\nis_linear=1\n"  # lleaves would read them as constants


def compiled(model: Model) -> Model:
    """The model with its trees compiled; any but LightGBM's, and linear leaves, as it is.

    To compile takes seconds to minutes, by the number of leaves: it pays from millions of rows on.

    Raises:
        SetupError: The extra `lleaves` is not installed.
    """
    if model.recipe.algorithm != "lightgbm":
        return model
    text = model.estimator.model_to_string()
    return model if _LINEAR_LEAVES in text else replace(model, estimator=Trees(text))


class Trees:
    """Stands in for a LightGBM booster that only predicts.

    Args:
        text: The booster's own form.

    Source: Boehm, lleaves, https://lleaves.readthedocs.io
    """

    def __init__(self, text: str) -> None:
        try:
            import lleaves
        except ModuleNotFoundError as error:
            message = "lleaves is not installed"
            raise SetupError(message, hint="pip install 'headrace[lleaves]'") from error
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.txt"
            file.write_text(text)
            self._model: Any = lleaves.Model(model_file=file.as_posix())
            self._model.compile()

    def predict(self, X: Matrix, *, num_threads: int) -> Floats:
        """As `lightgbm.Booster.predict`."""
        found: Floats = self._model.predict(X, n_jobs=num_threads)
        return found
