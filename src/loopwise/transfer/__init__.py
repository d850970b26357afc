"""Brings in what other tools recorded, and takes out what is here. ``formats.py`` is the table of formats."""
