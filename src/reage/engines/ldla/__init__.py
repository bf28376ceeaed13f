"""The `ldla` engine: ages one zone at a time by latent diffusion, after LDLA (arXiv 2507.21600)."""

from reage.engines.ldla.change_scale import ChangeScaleConfig
from reage.engines.ldla.engine import BASE_ONLY, REFINER, TRAINED, LdlaConfig, LdlaEngine
from reage.nets.sampling import SamplingConfig

__all__ = ["BASE_ONLY", "REFINER", "TRAINED", "SamplingConfig", "ChangeScaleConfig", "LdlaConfig", "LdlaEngine"]
