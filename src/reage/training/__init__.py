"""From photos of known age to weights: shards, recipes, one loop."""
