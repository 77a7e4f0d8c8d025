"""From errors of Great Expectations and Spark to one line that names the rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from expectations.verdict import columns_of
from headrace.errors import SpecError
from headrace.spec.model import Check

SPARK_ERRORS = (PySparkException, Py4JJavaError)
# Such as `[CAST_INVALID_INPUT] The value 'a' ... cannot be cast`, up to its `SQLSTATE`.
_CONDITION = re.compile(r"\[[A-Z][A-Z0-9_.]+\].*?(?= SQLSTATE|\n|$)")
_LONGEST = 300


@contextmanager
def naming(check: Check) -> Iterator[None]:
    """Turns whatever a rule raises before any row is read into a SpecError that names it.

    Raises:
        SpecError: The body failed: the arguments of the rule do not fit its columns.
    """
    try:
        yield
    except Exception as error:
        told = f"rule {check.rule} cannot be judged: {reason(error)}"
        raise SpecError(
            told,
            column=columns_of(check),
            hint="mend the arguments of the rule, or the type of the column",
        ) from error


def reason(error: BaseException) -> str:
    """The one line of an error that tells what went wrong."""
    text = str(error)
    told = _CONDITION.search(text)
    line = told[0] if told else text.strip().partition("\n")[0] or repr(error)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
