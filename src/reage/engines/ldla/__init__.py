"""The `ldla` engine: one zone at a time, by latent diffusion, after LDLA (arXiv 2507.21600)."""

from reage.engines.ldla.dose import DoseConfig
from reage.engines.ldla.engine import REFINER, UNTAUGHT, LdlaConfig, LdlaEngine
from reage.nets.denoise import DenoiseConfig

__all__ = ["REFINER", "UNTAUGHT", "DenoiseConfig", "DoseConfig", "LdlaConfig", "LdlaEngine"]
