"""Shadow, canary, promote, roll back: which step a release may take, and the levers that take it."""

from loopwise.release.transitions import promote, register, register_candidate, reject, rollback

__all__ = ["promote", "register", "register_candidate", "reject", "rollback"]
