"""Samples of GPU load: read from people's files, matched to instances, and kept by day."""
