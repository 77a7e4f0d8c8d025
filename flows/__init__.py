"""Prefect: order, retries and schedules of stages, and the `headrace` command; no data work."""
