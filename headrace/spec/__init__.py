"""What a user declares: the model of a pipeline, and the file it is read from."""

from __future__ import annotations

from headrace.spec.digest import digest_of
from headrace.spec.landing import landing_glob
from headrace.spec.load import load, validate
from headrace.spec.model import Pipeline
from headrace.spec.problems import Problem

__all__ = ["Pipeline", "Problem", "digest_of", "landing_glob", "load", "validate"]
