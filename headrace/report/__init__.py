"""The self-contained HTML page of a run, or of a profile, made from its records and from the tables of the lake."""

from headrace.report.page import latest, write, write_profile

__all__ = ["latest", "write", "write_profile"]
