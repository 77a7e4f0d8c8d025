"""Rules that people read: a decision list of our own, and CHAID; both become one SQL expression."""

from headrace.models.algorithms.rules.chaid import CHAID
from headrace.models.algorithms.rules.decision_list import DECISION_LIST
from headrace.models.algorithms.rules.told import as_sql, described_rules

__all__ = ["CHAID", "DECISION_LIST", "as_sql", "described_rules"]
