"""Finds the person of a photo or a sketch in a gallery of photos."""

from reage.matching.calibration import Calibration, find_calibration
from reage.matching.index import FaceIndex, Row
from reage.matching.search import MATCHERS, MODES, Match, Matcher, Matches

__all__ = ["MATCHERS", "MODES", "Calibration", "FaceIndex", "Match", "Matcher", "Matches", "Row", "find_calibration"]
