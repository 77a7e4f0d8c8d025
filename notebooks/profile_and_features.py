# %% [markdown]
# # What the data looks like, and the features made of it
# A profile is counted by Spark, once per version of a table, and kept as rows; reading it starts nothing.

# %%
import os

import headrace

PIPELINE = "../examples/flight_delays/pipeline.yaml"
LAKE = os.environ.get("HEADRACE_LAKE", "../lake")
lake = headrace.open(LAKE)

# %% [markdown]
# This one line starts Spark, unless this version was profiled before.

# %%
# !headrace profile weather {PIPELINE} --lake {LAKE} | cat

# %%
profile = lake.profile("weather").to_pandas()
quantiles = profile[profile["statistic"] == "quantile"]
quantiles.pivot_table("value", "column", "key").round(1)

# %% [markdown]
# Features are rows of the table `gold`, each as it was known at five in the morning of its day.

# %%
gold = lake.table("gold/flight_delays").pandas()
names = ["hour", "carrier", "dest", "temp", "wind_speed", "plane_year", "route_delay_7d", "late"]
gold[names].describe(include="all").T

# %% [markdown]
# Missing values by feature, and the share of late flights by hour of departure.

# %%
gold[names].isna().mean().round(3)

# %%
gold.groupby("hour")["late"].mean().plot.bar(title="Share of flights that came late, by hour")
