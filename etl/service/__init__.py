"""The long-running service: its schedule, its reports on itself, and the unit files that start
it.
"""
