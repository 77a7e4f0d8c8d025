"""Row numbers, ids and the order of a file that carry the target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.power import Power, cross_fitted, enough
from headrace.evaluation.audit.subject import Cells, Subject
from headrace.evaluation.metrics import Floats, Integers
from headrace.spec.training import Leak

ALIKE = 0.5  # of the neighbours that would differ by chance are alike
TELLS = 0.8  # the AUC that an id must surely have
FEWEST = 30  # rows of either class
ALPHA = 0.001
_ROWS_OF_A_NAME = 2  # on average; a key that numbers rows has one for each
_RECUR = 0.9  # distinct ids by rows of a day


def row_order(subject: Subject) -> list[Finding | NotJudged]:
    """Ids whose neighbours share the target, or whose digits or letters tell it.

    Within each interval where there are intervals: from day to day a target may drift. A text that
    stands in many rows is the name of a place or a person. A number that does is judged by its
    neighbours alone: it may count the rows of each day anew, or be the name of a shop.
    """
    places = subject.places
    if not enough(subject.y, places, least=FEWEST):
        why = f"needs at least {FEWEST} true and {FEWEST} false rows"
        return [NotJudged(Leak.ROW_ORDER, why)]
    ids = {name: _position(subject, name) for name in subject.row_ids}
    if subject.roles.file_order:
        ids["the order of rows"] = np.arange(subject.table.num_rows, dtype=np.float64)
    found: list[Finding | NotJudged] = []
    day = _days(subject)
    for name, position in ids.items():
        named = name in subject.cells and _names_more_than_rows(subject.cells[name])
        if named and subject.cells[name].is_category:
            continue  # of a place or a person: that it tells the target is no leak
        alike, low, pairs = _alike(position[places], subject.y[places], day[places])
        if low > ALIKE:
            found.append(_neighbours(name, alike, low, pairs, is_column=name in subject.cells))
        elif name in subject.cells and not named and (told := _parts(subject, name)) is not None:
            found.append(_spelled(name, *told))
    return found


def _names_more_than_rows(cells: Cells) -> bool:
    """Whether a value stands in many rows: it names what the rows are about, day after day."""
    known = cells.values[~np.isnan(cells.values)]
    return len(known) > _ROWS_OF_A_NAME * len(np.unique(known))


def _days(subject: Subject) -> Floats:
    if subject.roles.interval is None:
        return np.zeros(subject.table.num_rows)
    return Cells.of(subject.table.column(subject.roles.interval)).values


def _position(subject: Subject, name: str) -> Floats:
    """Where an id stands among the others; a text by the number in it, or by the alphabet."""
    cells = subject.cells[name]
    if not cells.is_category:
        return cells.values
    texts = subject.table.column(name).cast(pa.string()).combine_chunks()
    digits = pc.replace_substring_regex(texts, r"\D+", "")
    digits = pc.utf8_slice_codeunits(digits, 0, 15)
    numbers = pc.if_else(pc.not_equal(digits, ""), digits, None).cast(pa.float64())
    if numbers.null_count <= 0.1 * len(numbers):  # nearly all have one
        filled: Floats = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)
        return filled
    ranks: Floats = pc.rank(texts).to_numpy().astype(np.float64)
    return ranks


def _alike(position: Floats, y: Floats, day: Floats) -> tuple[float, float, int]:
    """How much more often neighbours have the same target than chance has it; 1 is always.

    Chance is that of each interval by itself. The lower end is three deviations down, of
    neighbours that are as likely to agree as any two rows.
    """
    order = np.lexsort((position, day))
    y, day, position = y[order], day[order], position[order]
    together = (day[1:] == day[:-1]) & (position[1:] != position[:-1])
    pairs = int(together.sum())
    if pairs < FEWEST or pairs < _RECUR * (len(y) - len(np.unique(day))):
        return 0.0, 0.0, pairs
    _, group = np.unique(day, return_inverse=True)
    size, hits = np.bincount(group), np.bincount(group, y)
    same = (hits * (hits - 1) + (size - hits) * (size - hits - 1)) / np.maximum(
        size * (size - 1), 1
    )
    chance = same[group][1:][together]
    room = float((1 - chance).sum())
    if room < FEWEST / 2:
        return 0.0, 0.0, pairs
    agree = (y[1:] == y[:-1])[together]
    alike = float((agree - chance).sum()) / room
    deviation = float(np.sqrt((chance * (1 - chance)).sum())) / room
    return alike, alike - 3 * deviation, pairs


def _parts(subject: Subject, name: str) -> tuple[str, Power] | None:
    """A part of an id that tells the target."""
    places = subject.sampled(subject.places)
    for what, values, is_category in _spellings(subject, name):
        cells = Cells(values, is_category)
        power = cross_fitted(cells, subject.y, places, alpha=ALPHA, seed=subject.seed)
        if power.low > TELLS:
            return what, power
    return None


def _spellings(subject: Subject, name: str) -> Iterator[tuple[str, Floats, bool]]:
    cells = subject.cells[name]
    position = _position(subject, name)
    yield "its size", position, False
    for base in (2, 3, 10):
        yield f"its rest by {base}", np.mod(position, base), True
    if cells.is_category:
        texts = subject.table.column(name).cast(pa.string())
        letters = pc.replace_substring_regex(texts, r"\d+", "")
        yield "its letters", Cells.of(letters).values, True
        lengths: Integers = pc.fill_null(pc.utf8_length(texts), 0).to_numpy()
        yield "its length", lengths.astype(np.float64), True


_ADVICE = (
    "leave it out of `features`, and mix the rows of the file before anything is numbered or "
    "split; find out who sorted it by the outcome"
)


def _neighbours(name: str, alike: float, low: float, pairs: int, *, is_column: bool) -> Finding:
    return Finding(
        Leak.ROW_ORDER,
        (name,) if is_column else (),
        f"rows next to each other by {name} have the same target {alike:.0%} of the way "
        f"from chance to always (at least {low:.0%}), over {pairs:,} neighbours: the rows were "
        "sorted or numbered by the outcome",
        _ADVICE,
        {"alike": round(alike, 4), "at_least": round(low, 4), "pairs": pairs, "threshold": ALIKE},
    )


def _spelled(name: str, what: str, power: Power) -> Finding:
    return Finding(
        Leak.ROW_ORDER,
        (name,),
        f"{name} numbers the rows, and {what} tells the target: ROC AUC {power.auc:.3f} (at least "
        f"{power.low:.3f})",
        _ADVICE,
        {"part": what, "auc": power.to_json(), "threshold": TELLS},
    )
