"""What identifies people or opens doors, found in text: one file for each family, and ``find.py`` over all of them."""
