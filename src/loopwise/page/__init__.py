"""The page: chat with feedback, and score by release, drawn on the server from the same store."""
