"""Trains the de-aging net."""
