"""Derive versions and running time by comparing known states with sightings. Pure."""
