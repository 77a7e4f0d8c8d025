"""The self-contained HTML page of a run, made from its records and from the tables of the lake."""

from headrace.report.page import latest, write

__all__ = ["latest", "write"]
