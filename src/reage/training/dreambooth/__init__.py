"""Identity-preserving aging (IJCB 2023, arXiv 2307.08585): DreamBooth fine-tuning on the photos of one person."""
