"""The referee: scores of champion and candidate on the same held-out questions become a report.

``judge`` asks; ``report`` says it as text and JSON. An extension is one file with ``(PairedScores, GateSettings) ->
Check`` and one line in ``judge.CHECKS``.
"""

from loopwise.gate.judge import judge
from loopwise.gate.report import from_json, to_json, to_text, verdict
from loopwise.gate.settings import GateSettings

__all__ = ["GateSettings", "from_json", "judge", "to_json", "to_text", "verdict"]
