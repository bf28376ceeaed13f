"""A photo, made younger or older, and drawn, with numbers beside every step."""

from reage.forensic.case import Case, CaseRequest, DrawnAge, ForensicChain
from reage.forensic.report import CAUTION, write_case

__all__ = ["CAUTION", "Case", "DrawnAge", "ForensicChain", "CaseRequest", "write_case"]
