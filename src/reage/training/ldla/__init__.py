"""LDLA (arXiv 2507.21600): pairs, pretraining, losses and training."""
