"""Where a picture comes from, as its file says."""
