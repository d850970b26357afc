"""Pure functions on arrays: intervals, paired tests, their power, and the pass@k estimator."""
