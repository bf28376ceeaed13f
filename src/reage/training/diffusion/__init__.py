"""The small latent diffusion base: datasets, autoencoder and denoiser."""
