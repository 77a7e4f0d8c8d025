"""The Spark SQL of a spec, read without Spark: the columns it uses, and why it is refused.

An expression is one value of one row or, in `history`, one aggregate. It is parsed and never run
here, and only listed functions may be called, so that the same rows always give the same value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from headrace.spec.functions import AGGREGATES, REFUSED, SCALARS, words
from headrace.spec.model import ColumnType
from headrace.spec.problems import nearest, shown, unknown

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.errors import ParseError
    from sqlglot.tokenizer_core import Token

MAX_LENGTH = 4_000
MAX_DEPTH = 50
_TOO_DEEP = "nested too deeply"
_INCOMPLETE = "not a Spark SQL expression: something is missing"

# Words that may stand before a bracket without calling anything, and types with a length.
_NOT_CALLS = words(
    """
    all and as between by case distinct div else end escape filter from group having in interval is
    not null on or order over partition then using when where within char dec numeric varchar
    """
)
_CONSTANTS = frozenset(
    {"e", "pi"}
)  # the only functions of nothing that give the same value each time
# Spark reads these texts as moments wherever a time is wanted.
_CLOCK_WORD = re.compile(r"\s*(now|today|tomorrow|yesterday)(\s+\S+)?\s*", re.IGNORECASE)
# sqlglot's nodes of functions that are called without brackets, such as `current_date`.
_UNSTEADY_NODE = re.compile(r"Current|Localtime|SessionUser|Rand|Uuid|Utc(Date|Time)")


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        columns: The columns it uses, lower case, in the order of their first use.
        problems: Why it is refused, one line each; empty where it may be used.
    """

    columns: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def columns_of(sql: str) -> tuple[str, ...]:
    """The columns an expression uses, lower case, in the order of their first use.

    Example:
        >>> columns_of("avg(arr_delay - Dep_Delay)")
        ('arr_delay', 'dep_delay')
    """
    return parse(sql, columns=None).columns


def parse(
    sql: str,
    columns: Mapping[str, ColumnType] | None,
    *,
    aggregate: bool = False,
    boolean: bool = False,
    where: str = "",
) -> Expression:
    """Reads one expression and says why it cannot be used, if so.

    Args:
        sql: Spark SQL, such as `hour(time_hour)`.
        columns: The columns it may use; None where they are not known.
        aggregate: Whether it must be one aggregate over rows, instead of a value of one row.
        boolean: Whether it must be true or false.
        where: What has the columns, for messages, such as `arrivals`.

    Example:
        >>> parse("avg(dela)", {"delay": ColumnType.INT}, aggregate=True).problems
        ("no column 'dela'; did you mean 'delay'?",)
    """
    tokens = _tokens(sql)
    root = tokens if isinstance(tokens, str) else _tree(sql, tokens)
    if isinstance(tokens, str) or isinstance(root, str):
        return Expression(problems=(str(root),))
    used = tuple(dict.fromkeys(column.name.lower() for column in _columns(root)))
    found = [*_refused_calls(tokens)] or [*_refused_names(root)]
    found += _refused_parts(root)
    if columns is not None:
        strangers = [name for name in used if name not in columns]
        found += [unknown("column", name, columns, of=where) for name in strangers]
    if not found:
        found += _aggregation(root, aggregate=aggregate)
    if boolean and not found and _never_boolean(root, columns or {}):
        found.append("must be true or false, such as `delay > 15`")
    return Expression(used, tuple(dict.fromkeys(found)))


def _tokens(sql: str) -> list[Token] | str:
    """The words of an expression, or why it is refused before it is parsed."""
    from sqlglot import Dialect
    from sqlglot.errors import TokenError

    if len(sql) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH:,} characters"
    try:
        tokens = Dialect.get_or_raise("spark").tokenize(sql)
    except TokenError:
        return "not a Spark SQL expression: a quote or a comment is not closed"
    return _refused_tokens(tokens) or tokens


def _refused_tokens(tokens: list[Token]) -> str | None:
    from sqlglot import TokenType

    if not tokens:
        return "an expression is missing"
    if any(token.token_type in {TokenType.SEMICOLON, TokenType.PLACEHOLDER} for token in tokens):
        return "must be one expression, without `;` or `?`"
    words = [token.text.lower() for token in tokens[:2] if token.token_type != TokenType.STRING]
    if words[:1] == ["if"] and words[1:] != ["("]:
        return _INCOMPLETE  # sqlglot would take it for a statement, and say so in the log
    opening, closing = (
        {TokenType.L_PAREN, TokenType.L_BRACKET},
        {TokenType.R_PAREN, TokenType.R_BRACKET},
    )
    steps = ((token.token_type in opening) - (token.token_type in closing) for token in tokens)
    depths = list(accumulate(steps))
    if depths[-1] != 0 or min(depths) < 0:
        return "not a Spark SQL expression: brackets do not match"
    return _TOO_DEEP if max(depths) > MAX_DEPTH else None


def _tree(sql: str, tokens: list[Token]) -> exp.Expr | str:
    """The parsed expression, or why it cannot be parsed."""
    # Not `sqlglot.parse_one`: it reads statements too, and drops whatever follows a semicolon.
    from sqlglot import Dialect, exp
    from sqlglot.errors import ParseError

    try:
        trees = Dialect.get_or_raise("spark").parser().parse_into(exp.Condition, tokens, sql)
    except ParseError as error:
        return f"not a Spark SQL expression: {_why(error)}"
    except RecursionError:
        return _TOO_DEEP
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        trees = []  # sqlglot stumbles over some texts instead of refusing them
    return (trees and trees[0]) or _INCOMPLETE


def _why(error: ParseError) -> str:
    detail = error.errors[-1]
    description, token = str(detail.get("description") or ""), detail.get("highlight")
    if "Unexpected token" in description and token:
        return f"unexpected {shown(token)}"
    if description.startswith("Expect"):
        return f"{description[:1].lower()}{description[1:].rstrip('.')}"
    return _INCOMPLETE.partition(": ")[2]


def _columns(root: exp.Expr) -> Iterator[exp.Column]:
    from sqlglot import exp

    return root.find_all(exp.Column, bfs=False)


def _refused_calls(tokens: list[Token]) -> Iterator[str]:
    """Functions by the names that the user wrote: sqlglot's tree has its own names for many."""
    for index, token in enumerate(tokens[:-1]):
        name = token.text.lower()
        if (
            tokens[index + 1].text != "("
            or not re.fullmatch(r"[a-z_]\w*", name)
            or name in _NOT_CALLS
        ):
            continue
        if name in REFUSED:
            yield f"{name}() {REFUSED[name]}"
        elif name not in SCALARS | AGGREGATES:
            yield f"no function {name}() that a spec may use{_near_function(name)}"
        elif tokens[index + 2].text == ")" and name not in _CONSTANTS:
            yield f"{name}() needs an argument"


def _near_function(name: str) -> str:
    meant = nearest(name, SCALARS | AGGREGATES)
    return f"; did you mean {meant!r}?" if meant else ""


def _refused_names(root: exp.Expr) -> Iterator[str]:
    for node in root.walk():
        if _UNSTEADY_NODE.match(type(node).__name__):
            yield f"{_sql(node)} gives another value each time, for the same rows too"


def _refused_parts(root: exp.Expr) -> Iterator[str]:
    from sqlglot import exp

    refused: dict[type[exp.Expr], str] = {
        exp.Query: "a query within an expression is refused: use `lookups`, `latest` or `history`",
        exp.Window: "a window over rows is refused: use `latest` or `history`",
        exp.Lambda: "a function of its own (`x -> ...`) is refused",
        exp.Alias: "`as` has no place here: the name stands before the expression",
        exp.Placeholder: "a parameter has no value here",
        exp.Parameter: "a parameter has no value here",
        exp.SessionParameter: "a parameter has no value here",
        exp.Command: "a statement is refused",
        exp.Dot: "a dotted name is refused: columns are named alone",
    }
    for node in root.walk():
        for kind, message in refused.items():
            if isinstance(node, kind):
                yield message
        if isinstance(node, exp.Column) and node.table:
            yield f"{shown(_sql(node))}: columns are named alone, without their table"
        elif isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
            yield "`*` is refused: name the columns"
        elif isinstance(node, exp.Literal) and node.is_string and _CLOCK_WORD.fullmatch(node.name):
            yield f"{shown(node.name)} may read the clock: the same rows differ tomorrow"
    lists = exp.Array | exp.Split | exp.RegexpSplit | exp.Tuple
    if isinstance(root.unnest(), lists | exp.Interval):
        yield "must be one plain value, not a list or an interval"


def _aggregation(root: exp.Expr, *, aggregate: bool) -> list[str]:
    calls = [node for node in root.walk() if _is_aggregate(node)]
    if not aggregate:
        return (
            [f"{_sql(calls[0])} is an aggregate over rows: only `history` takes one"]
            if calls
            else []
        )
    if not calls:
        return ["must be an aggregate over rows, such as `avg(delay)`"]
    if any(_is_aggregate(node) for call in calls for node in call.walk() if node is not call):
        return ["an aggregate within an aggregate is refused"]
    within = {id(column) for call in calls for column in _columns(_with_clauses(call))}
    outside = [column.name for column in _columns(root) if id(column) not in within]
    if outside:
        return [f"column {shown(outside[0])} stands outside of the aggregate"]
    return []


def _is_aggregate(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return node.name.lower() in AGGREGATES
    return isinstance(node, exp.AggFunc) or type(node) in {exp.Any, exp.LogicalOr}


def _with_clauses(call: exp.Expr) -> exp.Expr:
    """The call with what belongs to it: `filter (where ...)`, `within group (order by ...)`."""
    from sqlglot import exp

    while isinstance(call.parent, exp.Filter | exp.WithinGroup):
        call = call.parent
    return call


def _never_boolean(root: exp.Expr, columns: Mapping[str, ColumnType]) -> bool:
    """Whether the value surely is not true or false; where it is unclear, Spark will tell."""
    from sqlglot import exp

    root = root.unnest()
    if isinstance(root, exp.Column):
        return columns.get(root.name.lower(), ColumnType.BOOLEAN) != ColumnType.BOOLEAN
    if isinstance(root, exp.Literal | exp.Neg):
        return True
    return isinstance(root, exp.Binary) and not isinstance(
        root, exp.Predicate | exp.Connector | exp.Dot
    )


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect="spark", normalize_functions="lower")
