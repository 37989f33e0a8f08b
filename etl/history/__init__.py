"""Compare what is known with what was seen: versions and running time. Pure."""
