"""Judges one attempt. ``table`` lists the verifiers; ``pool.VerifierPool`` runs them where they can be killed.

A verifier is ``(problem, attempt_text) -> score in [0, 1]``. It may raise, hang or crash:
the pool makes a verdict of that.
"""
