"""Evaluates engines: metrics on plain arrays, and a run that measures the pictures an engine makes of portraits."""
