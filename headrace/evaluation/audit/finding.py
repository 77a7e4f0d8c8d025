"""What an audit finds: the kind of leak, its columns, its evidence, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.spec.training import Leak


@dataclass(frozen=True)
class Finding:
    """One leak.

    Attributes:
        leak: Its kind.
        columns: The columns that it enters by; empty where it is the rows as a whole.
        sentence: What was found, for people.
        advice: What to do about it.
        evidence: Numbers, thresholds and examples; JSON values only.
    """

    leak: Leak
    columns: tuple[str, ...]
    sentence: str
    advice: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return {
            "leak": str(self.leak),
            "columns": list(self.columns),
            "sentence": self.sentence,
            "advice": self.advice,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True)
class NotJudged:
    """What an audit could not tell, and why."""

    leak: Leak
    why: str

    def to_json(self) -> dict[str, str]:
        """The same as JSON values."""
        return {"leak": str(self.leak), "why": self.why}


@dataclass(frozen=True)
class Audited:
    """What an audit came to.

    Attributes:
        findings: The leaks, in the order of their kinds.
        not_judged: Kinds that had too little to go by.
    """

    findings: tuple[Finding, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
