"""Measurements, and what they are measured against. `docs/performance.md` holds their tables."""
