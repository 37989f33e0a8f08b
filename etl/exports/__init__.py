"""Files for other tools, made from the whole history; one module for each format."""
