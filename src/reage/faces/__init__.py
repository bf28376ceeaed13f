"""Faces in pictures: found, divided into skin and hair, aligned, and measured zone by zone."""
