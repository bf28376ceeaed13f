"""The `ldla` engine: one zone at a time, by latent diffusion, after LDLA (arXiv 2507.21600)."""

from reage.engines.ldla.change_scale import ChangeScaleConfig
from reage.engines.ldla.engine import REFINER, UNTAUGHT, LdlaConfig, LdlaEngine
from reage.nets.sampling import SamplingConfig

__all__ = ["REFINER", "UNTAUGHT", "SamplingConfig", "ChangeScaleConfig", "LdlaConfig", "LdlaEngine"]
