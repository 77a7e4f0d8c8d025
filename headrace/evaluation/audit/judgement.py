"""What a pipeline's allowances make of an audit: what stands, what is refused, and the message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import LeakFound
from headrace.evaluation.audit.finding import Audited, Finding
from headrace.spec.training import Allowance


@dataclass(frozen=True)
class Judgement:
    """An audit held against the allowances of a pipeline.

    Attributes:
        audited: What was found.
        reasons: For each finding the reason why it may stand, or None.
        unused: Allowances that match no finding.
    """

    audited: Audited
    reasons: tuple[str | None, ...]
    unused: tuple[Allowance, ...]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """The findings that nothing allows."""
        pairs = zip(self.audited.findings, self.reasons, strict=True)
        return tuple(finding for finding, reason in pairs if reason is None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for people, about allowances."""
        used = [
            f"audit: {finding.leak} {_named(finding)}is allowed: {reason}"
            for finding, reason in zip(self.audited.findings, self.reasons, strict=True)
            if reason is not None
        ]
        return (*used, *(f"audit: {_unused(each)}" for each in self.unused))

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        pairs = zip(self.audited.findings, self.reasons, strict=True)
        return {
            "findings": [{**finding.to_json(), "allowed": reason} for finding, reason in pairs],
            "not_judged": [each.to_json() for each in self.audited.not_judged],
            "unused": [_unused(each) for each in self.unused],
        }

    def demand(self, pipeline: str) -> None:
        """Goes on only where every finding is allowed.

        Raises:
            LeakFound: One is not; the message names each, and the lines that would allow it.
        """
        if not self.refused:
            return
        told = [
            f"  {n}. {finding.leak} {_named(finding)}- {finding.sentence}\n"
            f"     evidence: {json.dumps(dict(finding.evidence), ensure_ascii=False)}\n"
            f"     do: {finding.advice}"
            for n, finding in enumerate(self.refused, 1)
        ]
        count = len(self.refused)
        message = (
            f"the audit before training found {count} leak{'s' if count > 1 else ''} that "
            f"{'are' if count > 1 else 'is'} not allowed\n" + "\n".join(told) + "\n "
        )
        raise LeakFound(
            message,
            pipeline=pipeline,
            hint="mend them; or, where one is right, put these lines into pipeline.yaml, with the "
            f"reason:\n{allowing(self.refused)}",
        )


def judge(audited: Audited, allowances: Sequence[Allowance]) -> Judgement:
    """Matches findings and allowances: the same kind, and no column that is not listed."""
    reasons = tuple(
        next((each.reason for each in allowances if _covers(each, finding)), None)
        for finding in audited.findings
    )
    unused = tuple(
        each
        for each in allowances
        if not any(_covers(each, finding) for finding in audited.findings)
    )
    return Judgement(audited, reasons, unused)


def allowing(findings: Sequence[Finding]) -> str:
    """The lines of a pipeline file that would allow these findings."""
    lines = [
        f'    - {{leak: {finding.leak}, columns: [{", ".join(finding.columns)}], reason: "..."}}'
        for finding in findings
    ]
    return "\n".join(["training:", "  allow:", *lines])


def _covers(allowance: Allowance, finding: Finding) -> bool:
    same = allowance.leak == finding.leak
    listed = set(finding.columns) <= set(allowance.columns)
    return same and listed and bool(finding.columns) == bool(allowance.columns)


def _named(finding: Finding) -> str:
    return f"({', '.join(finding.columns)}) " if finding.columns else ""


def _unused(allowance: Allowance) -> str:
    columns = f" of {', '.join(allowance.columns)}" if allowance.columns else ""
    return f"nothing matches the allowance of {allowance.leak}{columns}: remove it"
