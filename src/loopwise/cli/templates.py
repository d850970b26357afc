"""The ``loopwise.toml`` that ``init`` writes: every line that a beginner may want to change, with the reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

SUITE_N = 1_500
_GATEWAY = """\
[gateway]                       # OpenAI's API and the page
# host = "0.0.0.0"              # for other machines; needs an API key: loopwise keys create NAME
# on_store_failure = "refuse"   # an answer that cannot be recorded is refused, not passed on
# retention_days = { exchanges = 90, feedback = 365 }   # after which text goes; default: it stays
"""
_CAPS = """\
# [curate]                      # what one prompt, person, group of alike accounts and day can teach at most
# per_prompt = 2
# per_person = 200
# per_group = 400
# per_window = 5000
"""


def embedded_toml(ports: tuple[int, int] = (4040, 4041), approve: str = "human", seed: int = 0) -> str:
    """Settings for the embedded model. ``ports`` of the gateway and the engine."""
    from loopwise.tiny.families import FAMILIES, TARGET_SOURCES

    anchors = [family for family in FAMILIES if family.role == "anchor"]
    gateway_port, engine_port = ports
    return f"""\
# A Loopwise project. Unknown keys are refused, so a typing error cannot pass unnoticed.

[engine]                        # what answers: the embedded model, a small real one for learning how Loopwise works
kind = "embedded"
port = {engine_port}

{_GATEWAY}port = {gateway_port}

[store]
url = "sqlite:///loopwise.db"

[practice]                      # where the model's own problems come from
sources = {_strings(TARGET_SOURCES)}
problems = 5000                 # per turn, over all sources
attempts = 8                    # per problem

[train]
examples = 32000                # that one turn's training sees, repeats counted
threads = 1                     # a second one gains half on a quiet machine, and loses nearly all on a busy one

[suites.target]                 # what should get better
role = "target"
source = {_strings(TARGET_SOURCES)}
n = {SUITE_N}
{"".join(_anchor(family.name, family.source) for family in anchors)}
[suites.final]                  # gives the headline figures; no gate reads it
role = "final"
source = {_strings(TARGET_SOURCES)}
n = {SUITE_N}

[anchors]                       # good data that is always mixed in
path = "anchors.jsonl"
share = 0.1

{_CAPS}
[release]
approve = "{approve}"               # "auto" promotes what the gate has passed; "human" waits for 'loopwise promote'

[loop]
every_feedback = 500            # 'loopwise up' begins a turn when this much is new
seed = {seed}
"""


def openai_toml(url: str, model: str, base: Path | None, api_key_env: str | None = None) -> str:
    """Settings for a model behind a server of your own."""
    key = json.dumps(api_key_env, ensure_ascii=False) if api_key_env else '"OPENAI_API_KEY"'
    folder = json.dumps(str(base.resolve()), ensure_ascii=False) if base else None
    train = f"\n[train]\nbase = {folder}\nlearning_rate = 2e-4          # of the adapters\n" if folder else ""
    return f"""\
# A Loopwise project in front of your own model. Unknown keys are refused.

[engine]
kind = "openai"
url = {json.dumps(url, ensure_ascii=False)}
model = {json.dumps(model, ensure_ascii=False)}
{"" if api_key_env else "# "}api_key_env = {key}   # the name of the variable that holds the key, never the key itself
# first_token_s = 120              # of a stream: until the first event, and between events; also connect_s, total_s
# retries = 2                      # of requests that the server cannot have begun

# [aliases.small]                  # a further model, passed on and recorded when a request names "small"
# url = "http://127.0.0.1:8001"
# model = "its-name-there"

{_GATEWAY}port = 4040

[store]
url = "sqlite:///loopwise.db"
{train}
# [suites.target]                  # what should get better: a problem source or a JSONL file
# role = "target"
# source = "problems.jsonl"
"""


def _anchor(name: str, source: str) -> str:
    return f"""
[suites.{name}]  # what must not get worse: never practised
role = "anchor"
source = {json.dumps(source)}
n = {SUITE_N}
margin = 5                      # points that it may at most lose
"""


def _strings(sources: Sequence[str]) -> str:
    return "[\n" + "".join(f"  {json.dumps(source)},\n" for source in sources) + "]"
