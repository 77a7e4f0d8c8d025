"""From one score back to its model, its features and the lines of landing files behind them."""

from headrace.tracing.explanation import Explanation, explain
from headrace.tracing.found import Scored, find, scored_from

__all__ = ["Explanation", "Scored", "explain", "find", "scored_from"]
