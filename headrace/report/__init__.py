"""The self-contained HTML pages of a run and of a profile, made from what the lake holds."""

from headrace.report.page import latest, write, write_index, write_profile

__all__ = ["latest", "write", "write_index", "write_profile"]
