"""Ray: models are trained and rows are scored here; data comes from tables and goes to tables."""
