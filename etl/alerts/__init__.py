"""Alerts: decide which facts are worth a message, and send each once, to the right channel."""
