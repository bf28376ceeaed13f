"""Trains the sketch nets, photo to sketch and sketch to photo."""
