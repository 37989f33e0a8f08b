"""What other tools read: files of the whole history, one file for each form."""
