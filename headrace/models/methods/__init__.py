"""Methods of our own; their entries in the catalogue stand in `algorithms/own.py`."""
