"""The `exemplar` engine: lines of older people carried over in a common face."""

from reage.engines.exemplar.engine import ExemplarEngine

__all__ = ["ExemplarEngine"]
