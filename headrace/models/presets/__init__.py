"""Presets: many models fitted within a time limit and pooled into one."""
