"""LDLA (arXiv 2507.21600): dataset, pretraining, losses and training."""
