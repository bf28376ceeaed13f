"""Turns the rows of a run into tables, plots and a page."""
