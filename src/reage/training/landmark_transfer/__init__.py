"""Training of the net that gives one face the expression of another."""
