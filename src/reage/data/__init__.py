"""Faces as data: shards of aligned portraits, their split, and augmentation."""
