"""Great Expectations judges, one Spark pass measures.

The only package that imports Great Expectations. That takes seconds, so it is put off until the
first rule is looked at, or done ahead of time by `warm_up`.

    Check -> suite      its expectation, or a SpecError
          -> engine     its conditions as Spark columns
          -> flags      which rows break it, as one boolean column
          -> plan       the numbers it needs, from one aggregation and one grouped query
          -> judgement  Great Expectations' verdict on these numbers
"""

from expectations.flags import row_flags
from expectations.judgement import judge, warm_up
from expectations.verdict import Verdict

__all__ = ["Verdict", "judge", "row_flags", "warm_up"]
