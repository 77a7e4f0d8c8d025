"""The Spark SQL functions that a spec's expressions may call: one value each, and always the same.

Taken from the function registry of Spark 4.1. Whatever is not listed is refused: functions that
read a clock, a random number or the session, that depend on the order of rows, that give several
rows, that run code, or that work on what no landing column can hold (sketches, XML, variants).
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_CONDITIONS = words(
    """
    between case coalesce equal_null greatest if ifnull isnan isnotnull isnull least nanvl
    nullif nullifzero nvl nvl2 zeroifnull ilike like regexp regexp_like rlike
    """
)
_NUMBERS = words(
    """
    abs acos acosh asin asinh atan atan2 atanh bin bround cbrt ceil ceiling conv cos cosh cot
    csc degrees div e exp expm1 factorial floor hex hypot ln log log10 log1p log2 mod negative
    pi pmod positive pow power radians rint round sec sign signum sin sinh sqrt tan tanh try_add
    try_divide try_mod try_multiply try_subtract unhex width_bucket bit_count bit_get getbit
    shiftleft shiftright shiftrightunsigned
    """
)
_TIMES = words(
    """
    add_months convert_timezone date_add date_diff date_format date_from_unix_date date_part
    date_sub date_trunc dateadd datediff datepart day dayname dayofmonth dayofweek dayofyear
    extract from_unixtime from_utc_timestamp hour last_day make_date make_dt_interval
    make_interval make_timestamp make_timestamp_ltz make_timestamp_ntz make_ym_interval minute
    month monthname months_between next_day quarter second timestamp_micros timestamp_millis
    timestamp_seconds to_date to_timestamp to_timestamp_ltz to_timestamp_ntz to_unix_timestamp
    to_utc_timestamp trunc try_make_interval try_make_timestamp try_to_date try_to_timestamp
    unix_date unix_micros unix_millis unix_seconds unix_timestamp weekday weekofyear year
    timestampadd timestampdiff
    """
)
_TEXTS = words(
    """
    ascii base64 bit_length btrim char char_length character_length chr concat concat_ws
    contains decode elt encode endswith find_in_set format_number format_string initcap instr
    lcase left len length levenshtein locate lower lpad ltrim luhn_check mask octet_length
    overlay position printf regexp_count regexp_extract regexp_extract_all regexp_instr
    regexp_replace regexp_substr repeat replace reverse right rpad rtrim soundex space split
    split_part startswith substr substring substring_index to_binary to_char to_number
    to_varchar translate trim try_to_binary try_to_number ucase unbase64 upper get_json_object
    json_array_length parse_url try_parse_url url_decode url_encode crc32 hash md5 sha sha1 sha2
    xxhash64
    """
)
_CONVERSIONS = words(
    """
    bigint binary boolean cast date decimal double float int smallint string timestamp tinyint
    try_cast
    """
)
# on the way to one value
_LISTS = words(
    """
    array array_contains array_distinct array_join array_max array_min array_position array_size
    cardinality element_at get sequence size slice sort_array try_element_at
    """
)
# Those that make a text of others. Of constants alone they are refused: the text may come to `now`.
MAKE_TEXT = _TEXTS - words("char chr space") | words(
    "array_join conv date_format from_unixtime unhex"
)
SCALARS = _CONDITIONS | _NUMBERS | _TIMES | _TEXTS | _CONVERSIONS | _LISTS

# Those whose value depends on the order in which rows are met (first, max_by, mode, collect_list,
# approx_percentile) are left out: the same rows would give another value on another day.
AGGREGATES = words(
    """
    any approx_count_distinct avg bit_and bit_or bit_xor bool_and bool_or corr count count_if
    covar_pop covar_samp every kurtosis max mean median min percentile percentile_cont
    percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
    regr_sxy regr_syy skewness some std stddev stddev_pop stddev_samp sum try_avg try_sum
    var_pop var_samp variance
    """
)

_REASONS = {
    "reads the clock: the same rows would differ tomorrow": """
    curdate current_date current_time current_timestamp localtimestamp now
    """,
    "gives another value each time, for the same rows too": """
    monotonically_increasing_id rand randn random randstr shuffle spark_partition_id uniform
    uuid
    """,
    "depends on the order of rows, which is not fixed": """
    any_value approx_percentile array_agg collect_list collect_set first first_value last
    last_value listagg max_by min_by mode percentile_approx string_agg
    """,
    "needs a window over rows: use `latest` or `history`": """
    cume_dist dense_rank lag lead nth_value ntile percent_rank rank row_number
    """,
    "gives several values for one row": """
    explode explode_outer inline inline_outer json_tuple posexplode posexplode_outer stack
    """,
    "runs code": """
    java_method reflect try_reflect
    """,
    "depends on the session, not on the row": """
    current_catalog current_database current_schema current_timezone current_user
    input_file_name session_user user version
    """,
}
REFUSED = {name: reason for reason, names in _REASONS.items() for name in words(names)}
