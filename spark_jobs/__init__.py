"""Spark: data in the lake, from landing files to features; one module per stage."""
