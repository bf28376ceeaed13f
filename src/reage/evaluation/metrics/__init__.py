"""One function for each published metric."""
