"""One thread for what is fitted: sums over two come out in another order, and in other bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits BLAS and OpenMP to one thread, those of SciPy and scikit-learn too.

    A limit binds only what is loaded already, and a fit may be the first to load them.
    """
    from threadpoolctl import threadpool_limits

    for name in ("scipy.linalg", "sklearn.utils"):
        import_module(name)
    with threadpool_limits(1):
        yield
