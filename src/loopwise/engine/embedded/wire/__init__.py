"""OpenAI's calls as they travel: what a request means, and the shapes of answers, chunks and errors."""
