"""The nets and fits that measure: age estimators, zone scorers, face parser, recognizer."""
