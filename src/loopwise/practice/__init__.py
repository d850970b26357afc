"""Problems, attempts, verdicts: the model practises.

``sources`` makes problems, ``rollout`` alone samples and judges, ``practise`` does so in chunks that can be resumed,
``groups`` keeps what teaches, ``report`` says how well it went.
"""
