# %% [markdown]
# # Look at a lake, and how it came to be
# Tables are read where they lie: no Spark, no Ray, no server. Run `make demo` first.

# %%
import os

import headrace

lake = headrace.open(os.environ.get("HEADRACE_LAKE", "../lake"))
lake.tables()

# %% [markdown]
# A table is a name and, if you like, a version. Only the columns that are asked for are read.

# %%
weather = lake.table("silver/weather")
weather.version, weather.schema.names

# %%
weather.pandas(["origin", "time_hour", "temp", "wind_speed"]).head()

# %% [markdown]
# What happened to a source, from the logs alone: each batch comes through bronze, quarantine, silver, and the commit of
# silver carries the balance.

# %%
lake.history("weather")

# %% [markdown]
# Scores as they were at the table's first version, and as they are: what was delivered stays readable.

# %%
scores = lake.table("scores/flight_delays")
first = lake.table("scores/flight_delays", version=0)
len(first.arrow(["_interval"])), len(scores.arrow(["_interval"]))

# %%
scores.pandas(["_interval", "carrier", "flight", "score", "_model"]).groupby("_interval").agg(
    flights=("flight", "size"), mean_score=("score", "mean"), models=("_model", "nunique")
).head()
