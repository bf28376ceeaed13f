"""AgeTransGAN (ECCV 2022): dataset, losses and training."""
