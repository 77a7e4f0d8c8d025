"""Evaluation: splits by time, metrics with intervals, and the gate that decides on promotion."""
