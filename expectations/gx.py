"""Great Expectations, imported here and nowhere else, without what its import does on the side.

It imports two deprecated modules of Python, and sends the warnings of the whole process to the log.
"""

# ruff: noqa: E402 - the imports below must find the two modules loaded
import logging
import warnings

with warnings.catch_warnings():
    # Once imported they do not warn again. Remove with a release whose
    # `datasource/fluent/data_connector/file_path_data_connector.py` imports neither.
    warnings.filterwarnings("ignore", r"module 'sre_\w+' is deprecated", DeprecationWarning)
    import sre_constants  # noqa: F401
    import sre_parse  # noqa: F401

_showwarning = warnings.showwarning

from great_expectations.compatibility import pydantic
from great_expectations.core.id_dict import IDDict
from great_expectations.execution_engine.sparkdf_batch_data import SparkDFBatchData
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations import core  # registers every expectation
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.registry import get_expectation_impl, get_metric_provider
from great_expectations.expectations.row_conditions import PassThroughCondition
from great_expectations.util import convert_to_json_serializable
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.metrics_calculator import MetricsCalculator

if warnings.showwarning is not _showwarning:
    logging.captureWarnings(capture=False)

__all__ = [
    "Expectation",
    "IDDict",
    "MetricConfiguration",
    "MetricsCalculator",
    "PassThroughCondition",
    "SparkDFBatchData",
    "SparkDFExecutionEngine",
    "convert_to_json_serializable",
    "core",
    "get_expectation_impl",
    "get_metric_provider",
    "pydantic",
]
