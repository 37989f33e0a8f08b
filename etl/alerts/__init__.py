"""Alerts: whatever is worth a message, sent once, to the right channel."""
