"""Decide when polls are due. Pure."""
