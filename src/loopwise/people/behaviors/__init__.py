"""How people behave: one small file each, and one line in ``table.py``."""
