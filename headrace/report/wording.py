"""Numbers, times and foreign text as a reader of the page sees them."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta

# Unicode categories that hide or reorder what is read.
_UNSEEN = frozenset({"Cf", "Cc", "Cs", "Co", "Zl", "Zp"})
_CONTROL_PICTURES = 0x2400
_LONGEST = 300
_MINUTE = 60.0
_PLAIN = 1_000, 1e15  # told without an exponent


def count(value: float | None, unit: str = "", plural: str = "") -> str:
    """A count with thousands separators and its unit; a dash where it is not known.

    Example:
        >>> count(336776, "row"), count(1, "row"), count(None)
        ('336,776 rows', '1 row', '—')
    """
    if value is None:
        return "—"
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    name = unit if value == 1 or not unit else plural or f"{unit}s"
    return f"{number} {name}".rstrip()


def metric(value: float | None, *, signed: bool = False) -> str:
    """A metric with four decimals."""
    if value is None:
        return "—"
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def percent(value: float | None) -> str:
    """A share as per cent."""
    return "—" if value is None else f"{100 * value:.1f} %"


def figure(value: float | None) -> str:
    """A number of any size with four digits that count, whole ones with all.

    Example:
        >>> figure(336776.0), figure(12345.678), figure(0.012345), figure(None)
        ('336,776', '12,346', '0.01235', '—')
    """
    if value is None:
        return "—"
    if _PLAIN[0] <= abs(value) < _PLAIN[1]:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def amount(value: float) -> str:
    """An amount of money, however small: three digits that count, and no exponent.

    Example:
        >>> amount(0.0000039583), amount(1234.5)
        ('0.00000396', '1,234.50')
    """
    if abs(value) >= 1:
        return f"{value:,.2f}"
    decimals = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{decimals}f}"


def duration(seconds: float) -> str:
    """Wall time, as exact as is of use.

    Example:
        >>> duration(0.042), duration(12.34), duration(3725)
        ('42 ms', '12.3 s', '1:02:05 h')
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    text = str(timedelta(seconds=round(seconds)))
    return (
        f"{text} h"
        if seconds >= _MINUTE * _MINUTE
        else f"{text.removeprefix('0:').removeprefix('0')} min"
    )


def moment(value: datetime | None) -> str:
    """A moment to the second, with its zone."""
    return "not recorded" if value is None else value.strftime("%Y-%m-%d %H:%M:%S %Z")


def shown(value: object, longest: int = _LONGEST) -> str:
    """Foreign text cut to `longest` characters, with what would hide or reorder it made visible.

    Escaping for HTML is the template's part.
    """
    text = value if isinstance(value, str) else _as_json(value)
    visible = "".join(map(_visible, text[:longest]))
    return visible if len(text) <= longest else f"{visible}… ({len(text):,} characters)"


def observed(value: object) -> str:
    """What a rule found: a number with separators, or foreign text in short."""
    try:
        number = float(str(value))
    except ValueError:
        return shown(value, 120)
    return count(int(number) if number.is_integer() else number)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names in a sentence: `a, b and c`; long lists are cut and counted."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def span(units: Sequence[str]) -> str:
    """Units of work in short: the only one, or how many from first to last."""
    if not units:
        return "—"
    if len(units) == 1:
        return shown(units[0], 40)
    return f"{len(units):,}: {shown(units[0], 12)} to {shown(units[-1], 12)}"


def _as_json(value: object) -> str:
    return "—" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    point = ord(character)
    return chr(_CONTROL_PICTURES + point) if point < ord(" ") else f"⟨U+{point:04X}⟩"
