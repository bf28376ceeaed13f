"""The small latent diffusion base: dataset, autoencoder, denoiser, losses and training."""
