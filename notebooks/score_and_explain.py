# %% [markdown]
# # Score rows, and tell where a score comes from
# The champion is read with its digests checked. It predicts any rows that hold its features.

# %%
import os
from datetime import date

import numpy as np

import headrace

PIPELINE = "../examples/flight_delays/pipeline.yaml"
LAKE = os.environ.get("HEADRACE_LAKE", "../lake")
lake = headrace.open(LAKE)
model = lake.model("flight_delays")
model.recipe.algorithm, dict(model.recipe.parameters)

# %%
gold = lake.table("gold/flight_delays").arrow(partitions={"_interval": [date(2013, 12, 24)]})
again = model.predict(gold)
again[:5]

# %% [markdown]
# The same numbers stand in the table of scores, to the last bit.

# %%
key = ["carrier", "flight", "origin", "time_hour"]
scores = lake.table("scores/flight_delays").pandas()
side_by_side = gold.select(key).to_pandas().assign(again=again).merge(scores, on=key)
np.array_equal(side_by_side["again"], side_by_side["score"])

# %% [markdown]
# From one score to the model, its features, the lines of the landing files, and the checks that they passed:

# %%
late = side_by_side.sort_values("score").iloc[-1]
words = f"carrier={late.carrier} flight={late.flight} origin={late.origin}"

# %%
# !headrace explain {PIPELINE} {words} --interval 2013-12-24 --lake {LAKE}

# %% [markdown]
# And computed once more from what the record names:

# %%
# !headrace rebuild {PIPELINE} {words} --interval 2013-12-24 --lake {LAKE}
