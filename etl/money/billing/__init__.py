"""Learn from the bill how running time is charged. Pure."""
