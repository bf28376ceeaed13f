"""AMGAN (arXiv 2008.10960): dataset, losses, training and calibration."""
