"""Shadow, canary, promote, roll back: which step a release may take, and the levers that take it."""
