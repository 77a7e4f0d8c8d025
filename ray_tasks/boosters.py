"""What each worker of a Ray Train fit does: bins its own rows of gold batch by batch, and boosts.

No worker holds its rows as numbers. XGBoost keeps the bins of cells in files, in the worker's
temporary folder, and maps them page by page; LightGBM keeps them in memory, a byte each. Workers
agree on bins and on sums; each has all validation rows, so that all stop at the same round.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headrace.evaluation.metrics import Floats, Metric
from headrace.models.algorithms.algorithm import Parameters
from headrace.models.algorithms.boosting.lightgbm import NAMES as OF_LIGHTGBM
from headrace.models.algorithms.boosting.shared import Names, ours
from headrace.models.algorithms.boosting.xgboost import NAMES as OF_XGBOOST
from headrace.models.encoding import Encoding
from headrace.models.shards import Shard
from headrace.models.target import Classes

if TYPE_CHECKING:
    import lightgbm
    import xgboost

Singles = np.ndarray[Any, np.dtype[np.float32]]
MODEL = "model"  # the one file of a checkpoint
_PAGE_CELLS = 4_000_000  # that XGBoost bins at a time; 16 MiB
# LightGBM takes the bounds of its bins from so many cells of a worker, in three copies, and from
# this many rows at least.
_SAMPLE_CELLS, _SAMPLE_ROWS = 4_000_000, 20_000
_SAMPLE_MOST = 200_000  # LightGBM's own default
# What a model's text tells of the network of its fit, which differs from run to run.
_NETWORK = re.compile(
    r"^\[(machines|local_listen_port|num_machines|machine_list_filename): .*\n", re.M
)


@dataclass(frozen=True)
class Work:
    """What a fit by workers works on.

    Attributes:
        train: One share of the training rows for each worker.
        validation: The validation rows.
        encoding: Fitted on all training rows.
        classes: What is predicted.
        parameters: Of the library, `n_estimators` being the most rounds.
        one_value: Whether the target is the same in all training rows.
        seed: Of the fit.
        metric: What stops the fit early.
    """

    train: tuple[Shard, ...]
    validation: Shard
    encoding: Encoding
    classes: Classes
    parameters: Parameters
    one_value: bool
    seed: int
    metric: Metric

    def blocks(self, shard: Shard) -> Iterator[tuple[Floats, Floats]]:
        """Matrix and target of a share, batch by batch."""
        for batch, y in self.targets(shard):
            yield self.encoding.matrix(batch), y

    def pages(self, shard: Shard) -> Iterator[tuple[Singles, Singles]]:
        """As `blocks`, in single precision and in larger pieces, for what has a cost for each."""
        held: list[tuple[Singles, Singles]] = []
        cells = 0
        for X, y in self.blocks(shard):
            held.append((X.astype(np.float32), y.astype(np.float32)))
            cells += X.size
            if cells >= _PAGE_CELLS:
                yield _joined(held)
                held, cells = [], 0
        if held:
            yield _joined(held)

    def targets(self, shard: Shard) -> Iterator[tuple[pa.Table, Floats]]:
        """Rows and target of a share by batches, without classes that training did not have."""
        for batch in shard.batches():
            y = self.classes.codes(batch.column(shard.target))
            known = y < self.classes.count if self.classes.labels else np.ones(len(y), dtype=bool)
            yield (batch, y) if known.all() else (batch.filter(pa.array(known)), y[known])


def fit_xgboost(work: Work, rank: int) -> tuple[bytes, int]:
    """Fits this worker's part of the one model: its file, and the rounds."""
    with tempfile.TemporaryDirectory(prefix="headrace-bins-") as folder:
        return _fit_in_pages(work, rank, folder=Path(folder))


def _given(names: Names, work: Work) -> dict[str, Any]:
    classes = work.classes
    return names.arguments(
        classes.task, classes.count, work.parameters, seed=work.seed, metric=work.metric
    )


def _fit_in_pages(work: Work, rank: int, *, folder: Path) -> tuple[bytes, int]:
    """The matrices, which remove their files, are gone when it returns."""
    import xgboost

    given = _given(OF_XGBOOST, work)
    if work.one_value and not work.classes.labels:
        given["base_score"] = 0.5  # the share of true rows has no logit
    rounds = given.pop("n_estimators")
    patience, _ = ours(given)
    bins = int(given.get("max_bin", 256))
    train = _paged(work, work.train[rank], bins=bins, like=None, cache=folder / "train")
    valid = _paged(work, work.validation, bins=bins, like=train, cache=folder / "validation")
    booster = xgboost.train(
        given,
        train,
        num_boost_round=rounds,
        evals=[(valid, "validation")],
        early_stopping_rounds=patience,
        verbose_eval=False,
    )
    best = booster.best_iteration + 1
    booster.set_attr(best_iteration=None, best_score=None)
    return bytes(booster[:best].save_raw("json")), best


def fit_lightgbm(work: Work, rank: int) -> tuple[bytes, int]:
    """Fits this worker's part of the one model: its file, and the rounds."""
    import lightgbm
    from ray.train.lightgbm import get_network_params

    given = _given(OF_LIGHTGBM, work)
    given |= get_network_params() | {"tree_learner": "data", "pre_partition": True}
    # By rows it would hold the bins twice.
    given |= {"force_row_wise": False, "force_col_wise": True}
    sample = max(_SAMPLE_ROWS, _SAMPLE_CELLS // len(work.encoding.names))
    given["bin_construct_sample_cnt"] = min(sample, _SAMPLE_MOST)
    rounds = given.pop("n_estimators")
    patience, _ = ours(given)
    train = _binned(work, work.train[rank], like=None)
    valid = _binned(work, work.validation, like=train)
    booster = lightgbm.train(
        given,
        train,
        num_boost_round=rounds,
        valid_sets=[valid],
        callbacks=[lightgbm.early_stopping(patience, verbose=False)],
    )
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return _NETWORK.sub("", text).encode(), booster.best_iteration


LIBRARIES: Mapping[str, Callable[[Work, int], tuple[bytes, int]]] = {
    "lightgbm": fit_lightgbm,
    "xgboost": fit_xgboost,
}


def loop(config: Mapping[str, Any]) -> None:
    """The loop of one worker, as Ray Train calls it: the first worker leaves the model's file."""
    from ray import train

    work: Work = config["work"]
    rank = train.get_context().get_world_rank()
    content, rounds = LIBRARIES[config["library"]](work, rank)
    if rank != 0:
        train.report({"rounds": rounds})
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL).write_bytes(content)
        train.report({"rounds": rounds}, checkpoint=train.Checkpoint.from_directory(folder))


def _joined(blocks: Sequence[tuple[Singles, Singles]]) -> tuple[Singles, Singles]:
    return np.concatenate([X for X, _ in blocks]), np.concatenate([y for _, y in blocks])


def _paged(
    work: Work, shard: Shard, *, bins: int, like: xgboost.DMatrix | None, cache: Path
) -> xgboost.ExtMemQuantileDMatrix:
    import xgboost

    columns = len(work.encoding.names)
    kinds = ["c" if i in work.encoding.categorical else "q" for i in range(columns)]

    class Pages(xgboost.DataIter):
        """Reads the files anew for each of XGBoost's passes."""

        def __init__(self) -> None:
            self._pages = work.pages(shard)
            super().__init__(cache_prefix=str(cache), release_data=True)

        def reset(self) -> None:
            self._pages = work.pages(shard)

        def next(self, input_data: Callable[..., None]) -> bool:
            page = next(self._pages, None)
            if page is None:
                return False
            X, y = page
            input_data(data=X, label=y, feature_types=kinds)
            return True

    return xgboost.ExtMemQuantileDMatrix(
        Pages(), nthread=1, max_bin=bins, ref=like, enable_categorical=True
    )


def _binned(work: Work, shard: Shard, *, like: lightgbm.Dataset | None) -> lightgbm.Dataset:
    import lightgbm

    target = np.concatenate([y.astype(np.float32) for _, y in work.targets(shard)])

    class Rows(lightgbm.Sequence):
        """Reads on in the files for rows in order, which LightGBM asks for twice."""

        batch_size = shard.batch_rows

        def __init__(self) -> None:
            self._rewind()

        def __len__(self) -> int:
            return len(target)

        def __getitem__(self, place: Any) -> Floats:  # noqa: ANN401  # an int or a slice
            if isinstance(place, slice):
                return self._between(place.start, place.stop)
            row: Floats = self._between(int(place), int(place) + 1)[0]
            return row

        def _rewind(self) -> None:
            self._blocks = work.blocks(shard)
            self._held, self._start = np.empty((0, len(work.encoding.names))), 0

        def _between(self, start: int, end: int) -> Floats:
            if start < self._start:
                self._rewind()
            parts = []
            while start < end:
                while start >= self._start + len(self._held):
                    self._start += len(self._held)
                    self._held = next(self._blocks)[0]
                part = self._held[start - self._start : end - self._start]
                parts.append(part)
                start += len(part)
            return parts[0] if len(parts) == 1 else np.concatenate(parts)

    return lightgbm.Dataset(
        Rows(), target, reference=like, categorical_feature=list(work.encoding.categorical)
    )
