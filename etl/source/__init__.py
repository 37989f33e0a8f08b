"""Ask the source: one GET, a whole listing, and how well its clock is known."""
