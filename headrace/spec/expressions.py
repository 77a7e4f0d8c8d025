"""The Spark SQL of a spec, read without Spark: the columns it uses, and why it is refused.

An expression is one value of one row or, in `history`, one aggregate. It is parsed and never run
here, and only listed functions may be called, so that the same rows always give the same value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from headrace.spec.functions import AGGREGATES, MAKE_TEXT, REFUSED, SCALARS, words
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

Gives = Literal["boolean", "number", "class"]
_GIVES: dict[Gives, str] = {
    "boolean": "true or false, such as `delay > 15`",
    "number": "a number, such as `delay`",
    "class": "a text or a whole number, such as `reason`",
}
_OF_TYPE: dict[ColumnType, set[Gives]] = {
    ColumnType.STRING: {"class"},
    ColumnType.INT: {"number", "class"},
    ColumnType.BIGINT: {"number", "class"},
    ColumnType.DOUBLE: {"number"},
    ColumnType.BOOLEAN: {"boolean"},
    ColumnType.DATE: set(),
    ColumnType.TIMESTAMP: set(),
}

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
_BARE_TIME = re.compile(r"\s*T?[0-9]{1,2}:[0-9]{1,2}(:.*)?\s*", re.DOTALL)  # it is today's then
_CLOCK = "may read the clock: the same rows differ tomorrow"
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


def only_where(sql: str, condition: str) -> str:
    """The aggregate over those rows alone for which a condition holds; the text is kept as it is.

    Args:
        sql: An expression that `parse` accepts with `aggregate=True`.
        condition: Spark SQL.

    Example:
        >>> only_where("sum(a) / count(*)", "b")
        'sum(a) filter (where b) / count(*) filter (where b)'
    """
    from sqlglot import Dialect

    tokens = Dialect.get_or_raise("spark").tokenize(sql)
    inserts: list[tuple[int, str]] = []
    for index, token in enumerate(tokens[:-1]):
        if token.text.lower() not in AGGREGATES or tokens[index + 1].text != "(":
            continue
        end = _closing(tokens, index + 1)
        words = [token.text.lower() for token in tokens[end + 1 : end + 4]]
        if words[:3] == ["within", "group", "("]:
            end = _closing(tokens, end + 3)
            words = [token.text.lower() for token in tokens[end + 1 : end + 4]]
        if words[:3] == ["filter", "(", "where"]:
            inserts.append((tokens[end + 3].end + 1, f" ({condition}) and ("))
            inserts.append((tokens[_closing(tokens, end + 2)].start, ")"))
        else:
            inserts.append((tokens[end].end + 1, f" filter (where {condition})"))
    for place, text in sorted(inserts, reverse=True):
        sql = sql[:place] + text + sql[place:]
    return sql


def parse(
    sql: str,
    columns: Mapping[str, ColumnType] | None,
    *,
    aggregate: bool = False,
    gives: Gives | None = None,
    where: str = "",
) -> Expression:
    """Reads one expression and says why it cannot be used, if so.

    Args:
        sql: Spark SQL, such as `hour(time_hour)`.
        columns: The columns it may use; None where they are not known.
        aggregate: Whether it must be one aggregate over rows, instead of a value of one row.
        gives: What its value must be, if not anything: true or false, a number, or a class, which
            is a text or a whole number.
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
    found += [*_refused_parts(root), *_refused_texts(root, tokens, columns or {})]
    if columns is not None:
        strangers = [name for name in used if name not in columns]
        found += [unknown("column", name, columns, of=where) for name in strangers]
    if not found:
        found += _aggregation(root, aggregate=aggregate)
    if gives and not found and gives not in _may_give(root, columns or {}):
        found.append(f"must be {_GIVES[gives]}")
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
    from sqlglot import TokenType

    for index, token in enumerate(tokens[:-1]):
        name, quoted = token.text.lower(), token.token_type == TokenType.IDENTIFIER
        word = quoted or re.fullmatch(r"\w*[a-z_]\w*", name)
        if tokens[index + 1].text != "(" or not word or (name in _NOT_CALLS and not quoted):
            continue
        if name in REFUSED:
            yield f"{name}() {REFUSED[name]}"
        elif name not in SCALARS | AGGREGATES:
            called = name if re.fullmatch(r"\w{1,40}", name) else shown(name)
            yield f"no function {called}() that a spec may use{_near_function(name)}"
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
        exp.Values: "a table of constants is refused",
        exp.ArrayFilter: "`filter` belongs behind an aggregate: `sum(a) filter (where ...)`",
        exp.HexString: "a binary constant is refused: no column is binary",
    }
    for node in root.walk():
        for kind, message in refused.items():
            if isinstance(node, kind):
                yield message
        if isinstance(node, exp.Column) and node.table:
            yield f"{shown(_sql(node))}: columns are named alone, without their table"
        elif isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
            yield "`*` is refused: name the columns"
        elif isinstance(node, exp.Anonymous) and node.name.lower() in _NOT_CALLS:
            yield f"no function {shown(node.name)} that a spec may use"
        elif isinstance(node, exp.DataType) and node.this in _nested_types():
            yield "must be one plain value: no list, map, struct or variant"
    lists = exp.Array | exp.Split | exp.RegexpSplit | exp.Tuple
    if isinstance(root.unnest(), lists | exp.Interval):
        yield "must be one plain value, not a list or an interval"


def _refused_texts(
    root: exp.Expr, tokens: list[Token], columns: Mapping[str, ColumnType]
) -> Iterator[str]:
    """Texts that Spark reads as a moment of today, or that may come to one."""
    from sqlglot import TokenType, exp

    used = {column.name.lower() for column in _columns(root)}
    for node in root.walk():
        text = isinstance(node, exp.RawString | exp.National) or node.is_string
        if text and (_CLOCK_WORD.fullmatch(node.name) or _bare_time(node, columns)):
            yield f"{shown(node.name)} {_CLOCK}"
        elif isinstance(node, exp.Column) and _bare_time(node, columns):
            yield f"{shown(node.name)} read as a moment {_CLOCK}: give `to_timestamp` a format"
        elif isinstance(node, exp.DPipe) and not node.find(exp.Column):
            yield f"a text put together from constants {_CLOCK}"
        elif isinstance(node, exp.Concat) and all(part.is_string for part in node.expressions):
            whole = "".join(part.name for part in node.expressions)  # texts side by side are one
            if reads_clock(whole):
                yield f"{shown(whole)} {_CLOCK}"
    for index, token in enumerate(tokens[:-1]):
        if token.text.lower() in MAKE_TEXT and tokens[index + 1].text == "(":
            call = tokens[index + 1 : _closing(tokens, index + 1)]
            words = {word.text.lower() for word in call if word.token_type != TokenType.STRING}
            if not words & used:
                yield f"{token.text.lower()}() of constants {_CLOCK}"


def _nested_types() -> Set[object]:
    from sqlglot import exp

    return {*exp.DataType.NESTED_TYPES, exp.DType.VARIANT}


def _closing(tokens: list[Token], opening: int) -> int:
    """Where the bracket that opens there is closed."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index].text == "(") - (tokens[index].text == ")")
        if depth == 0:
            return index
    return len(tokens)


def _bare_time(node: exp.Expr, columns: Mapping[str, ColumnType]) -> bool:
    """Whether a constant or a column of texts is read as a moment and may hold a time alone."""
    from sqlglot import exp

    column = isinstance(node, exp.Column)
    if column and columns.get(node.name.lower()) != ColumnType.STRING:
        return False
    if not column and not _BARE_TIME.fullmatch(node.name):
        return False
    above = node.parent
    while isinstance(above, exp.Paren):
        above = above.parent
    if isinstance(above, exp.Cast):
        return str(above.to.this.value).startswith("TIMESTAMP")
    if isinstance(above, exp.Anonymous):
        return "to_timestamp" in above.name.lower() and len(above.expressions) == 1
    beside = above.iter_expressions() if isinstance(above, exp.Predicate) else ()
    return any(
        isinstance(other, exp.Column) and columns.get(other.name.lower()) == ColumnType.TIMESTAMP
        for other in beside
    )


def reads_clock(text: str) -> bool:
    """Whether Spark reads a text as a moment that moves with the clock, where it wants a moment.

    Example:
        >>> reads_clock("today"), reads_clock("10:30"), reads_clock("2013-01-01")
        (True, True, False)
    """
    return bool(_CLOCK_WORD.fullmatch(text) or _BARE_TIME.fullmatch(text))


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


def _may_give(root: exp.Expr, columns: Mapping[str, ColumnType]) -> set[Gives]:
    """What the value may be; where it is unclear, anything: Spark will tell."""
    from sqlglot import exp

    root, number = root.unnest(), {*_OF_TYPE[ColumnType.INT]}
    if isinstance(root, exp.Column) and root.name.lower() in columns:
        return _OF_TYPE[columns[root.name.lower()]]
    if isinstance(root, exp.Literal):
        return {"class"} if root.is_string else number
    known: list[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], set[Gives]]] = [
        (exp.Dot, {*_GIVES}),
        ((exp.Predicate, exp.Connector, exp.Not, exp.Boolean), {"boolean"}),
        (exp.Div, {"number"}),
        (exp.DPipe, {"class"}),
        ((exp.Neg, exp.Binary), number),
    ]
    return next((gives for kinds, gives in known if isinstance(root, kinds)), {*_GIVES})


def _sql(node: exp.Expr) -> str:
    """The node as a message shows it."""
    from sqlglot import ErrorLevel

    try:
        return node.sql(
            dialect="spark", normalize_functions="lower", unsupported_level=ErrorLevel.IGNORE
        )
    except (AttributeError, KeyError, TypeError, ValueError):  # an argument it needs is missing
        return f"{type(node).__name__.lower()}(...)"
