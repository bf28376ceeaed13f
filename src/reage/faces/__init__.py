"""Face detection, alignment, segmentation, zone masks and zone scores."""
