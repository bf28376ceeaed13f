"""Training of the age-invariant identity encoder `reage.nets.aifd`."""
