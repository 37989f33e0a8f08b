"""Compute prices, charges and who pays. Pure."""
