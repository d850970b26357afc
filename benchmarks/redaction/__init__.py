"""How much of what identifies people redaction finds, how often it is wrong, and how fast it is."""
