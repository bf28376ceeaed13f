"""The `prototype` engine: statistical models of shape, colour and detail at each age, without a network."""

from reage.engines.prototype.engine import PrototypeEngine

__all__ = ["PrototypeEngine"]
