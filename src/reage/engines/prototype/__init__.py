"""The learned classical engine."""

from reage.engines.prototype.engine import PrototypeEngine

__all__ = ["PrototypeEngine"]
