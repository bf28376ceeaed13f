"""Training of everything that measures: age estimators, zone scorers, the face parser, face recognizers."""
