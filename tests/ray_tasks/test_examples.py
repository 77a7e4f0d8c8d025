"""Rows as the fits see them; Ray is not needed for that."""

import numpy as np

from headrace.spec.model import Pipeline
from ray_tasks.examples import read


def blocks_of(lake, pipeline, moment):
    examples = read(lake, pipeline, moment=moment)
    encodings = examples.encodings(["codes"])
    samples = examples.samples(encodings, examples.parts.train)["codes"]
    return examples, samples.blocks


def test_rows_of_an_interval_are_one_block_in_the_order_of_time(gold, lake, pipeline, days, moment):
    gold(lake, days)
    examples, blocks = blocks_of(lake, pipeline, moment)
    found = examples.of(examples.parts.train)["_interval"].cast("int32").to_numpy()
    assert (blocks == found).all()
    assert (np.diff(blocks) >= 0).all()


def test_rows_of_a_group_are_one_block_whatever_their_interval(gold, lake, declared, days, moment):
    gold(lake, days)
    split = {**declared["split"], "groups": ["number"]}
    pipeline = Pipeline.model_validate({**declared, "split": split})
    examples, blocks = blocks_of(lake, pipeline, moment)
    numbers = examples.of(examples.parts.train)["number"].to_pylist()
    assert len(set(zip(numbers, blocks.tolist(), strict=True))) == len(set(numbers))
    assert blocks[0] == 0
