"""Speaks to the model that answers."""
