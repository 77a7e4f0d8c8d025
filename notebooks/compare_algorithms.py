# %% [markdown]
# # Two algorithms on a sample, against the baselines
# A first look before a training: fitted on four fifths of the days of a sample, judged on the newest fifth. Nothing is
# tuned, kept or promoted, and no engine is started.

# %%
import os

import headrace

PIPELINE = "../examples/flight_delays/pipeline.yaml"
lake = headrace.open(os.environ.get("HEADRACE_LAKE", "../lake"))
found = lake.compare(PIPELINE, ["logistic_regression", "lightgbm"], rows=20_000)
found

# %% [markdown]
# `low` and `high` come from resampling whole days, since flights of one day share their weather. A gain whose interval
# includes zero is not known to be one: the gate of a training would refuse it.

# %%
errors = [found["value"] - found["low"], found["high"] - found["value"]]
found.plot.barh(x="algorithm", y="value", xerr=errors, legend=False, title=found["metric"][0])

# %% [markdown]
# What an algorithm takes, and when not to use it:

# %%
# !headrace algorithms lightgbm
