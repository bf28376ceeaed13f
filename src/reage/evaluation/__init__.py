"""Judges engines: pure metrics, and the run that applies them to portraits."""
