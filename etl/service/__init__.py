"""What runs for ever: when accounts are polled, what is told of it, and files for what starts it."""
