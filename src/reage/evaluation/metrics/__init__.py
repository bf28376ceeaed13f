"""One function for each published metric, on plain arrays."""
