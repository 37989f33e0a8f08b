"""Figures for programs: reports as HTTP and assistants ask for them, and as the command line prints them."""
