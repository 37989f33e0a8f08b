"""What the bill says of how running time is charged. Pure."""
