"""The classes of errors as a page of Markdown: `python -m headrace.error_page FILE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError, Transient, kinds

_HEAD = """# Errors by code

Written from `headrace/errors.py` by `python -m headrace.error_page docs/errors.md`; edit that.

Every error says what is wrong, where, and what to do. Its last line names a code of this page,
which `headrace errors CODE` prints too. A code means the same in every version.

| code | error | what it means | exit code |
|---|---|---|---|
"""


def told(kind: type[HeadraceError]) -> dict[str, Any]:
    """A class of errors as JSON values."""
    return {
        "code": kind.code,
        "error": kind.__name__,
        "meaning": (kind.__doc__ or "").partition("\n")[0],
        "exit_code": kind.exit_code,
        "retried": issubclass(kind, Transient),
        "causes": list(kind.causes),
        "mend": kind.mend,
    }


def page() -> str:
    """The page of all classes."""
    every = [told(kind) for kind in kinds()]
    rows = [
        f"| [{each['code']}](#{each['code'].lower()}) | `{each['error']}` | {each['meaning']} "
        f"| {each['exit_code']} |\n"
        for each in every
    ]
    return _HEAD + "".join(rows) + "".join(map(_section, every))


def _section(each: dict[str, Any]) -> str:
    again = "It is transient: a flow tries it again by itself.\n\n" if each["retried"] else ""
    causes = "".join(f"- {cause}\n" for cause in each["causes"])
    return (
        f"\n## {each['code']}\n\n`{each['error']}`, exit code {each['exit_code']}. "
        f"{each['meaning']}\n\n{again}Usual causes:\n\n{causes}\nWhat to do: {each['mend']}\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
