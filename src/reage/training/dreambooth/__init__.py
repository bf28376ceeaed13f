"""Identity-preserving aging (arXiv 2307.08585): DreamBooth on one person."""
