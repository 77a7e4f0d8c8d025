# %% [markdown]
# # Rows that were set aside, and how they come back
# A row that breaks a rule stands in quarantine as it arrived, with its file and line.

# %%
import os

import headrace

PIPELINE = "../examples/flight_delays/pipeline.yaml"
LAKE = os.environ.get("HEADRACE_LAKE", "../lake")
lake = headrace.open(LAKE)
bad = lake.table("quarantine/weather").pandas(["_file", "_row", "_raw", "_failed_rules", "_reason"])
bad

# %% [markdown]
# A wind of 1,048 miles per hour is surely wrong. Rows read = silver + quarantine + duplicates, for each batch:

# %%
silver = lake.history("weather").query("table == 'silver/weather'")
[told for told in silver["told"]]

# %%
# !headrace quarantine show weather --lake {LAKE}

# %% [markdown]
# After a rule was mended, `headrace quarantine replay weather PIPELINE` judges the rows again: what passes comes to silver
# exactly once, the rest stays with its new reason. Here nothing was mended, so the row stays. This starts Spark.

# %%
# !headrace quarantine replay weather {PIPELINE} --lake {LAKE} 2>&1 | cat
