"""Where problems come from. ``table.problems`` reads a source by its name; ``splits`` keeps uses of a source apart."""
