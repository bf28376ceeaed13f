"""The face generator of reenactment: dataset, losses and training."""
