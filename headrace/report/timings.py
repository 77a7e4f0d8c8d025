"""How long each stage took, what it took of the processors, and what 1,000 scores come to."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.report.records import Record, Records
from headrace.report.wording import amount
from headrace.stage import Outcome, StageResult

# Counts of rows whose sum is what a stage worked through; the first that a stage has.
_WORKED = (
    ("read",),
    ("built", "labelled"),
    ("learned_from",),
    ("train", "validation", "test"),
)
_HOUR_S = 3600
_PER = 1000  # scores


@dataclass(frozen=True)
class Timing:
    """One stage of one subject.

    Attributes:
        stage: Its name.
        subject: The source or pipeline.
        record: What it did; None where no run has a record.
        rate: Rows per second of wall time; None where it worked on none.
    """

    stage: str
    subject: str
    record: Record | None
    rate: float | None


@dataclass(frozen=True)
class ScoringCost:
    """What `_PER` scores come to.

    Attributes:
        seconds: Wall time.
        processor_seconds: None where it was not measured.
        price: With its currency; empty without a price of core hours, or a measure.
    """

    seconds: float
    processor_seconds: float | None
    price: str


def timings(records: Records) -> list[Timing]:
    """Every stage in order, those without a record last."""
    told = [
        Timing(*key, record, _rate(record.result) if record.result.seconds else None)
        for key, record in records.of.items()
    ]
    return [*told, *(Timing(*key, None, None) for key in records.missing)]


def processor_seconds(records: Records) -> float | None:
    """Of all stages that this run did; None where one of them was not measured."""
    done = [one.processor_seconds for one in records.own if one.outcome is Outcome.DONE]
    known = [each for each in done if each is not None]
    return sum(known) if known and len(known) == len(done) else None


def scoring_cost(result: StageResult | None, core_hour_price: str | None) -> ScoringCost | None:
    """What scores come to; None where nothing was scored.

    Args:
        result: Of scoring.
        core_hour_price: As the setting has it: an amount, a space, a currency.
    """
    scored = result.rows.get("scored") if result else None
    if result is None or not scored:
        return None
    taken, price = result.processor_seconds, ""
    if taken is not None and core_hour_price:
        of_an_hour, currency = core_hour_price.split(" ")
        price = f"{amount(float(of_an_hour) * taken / _HOUR_S * _PER / scored)} {currency}"
    per = None if taken is None else taken * _PER / scored
    return ScoringCost(result.seconds * _PER / scored, per, price)


def _rate(result: StageResult) -> float | None:
    names = next((each for each in _WORKED if each[0] in result.rows), ())
    rows = sum(result.rows.get(name, 0) for name in names)
    return rows / result.seconds if rows else None
