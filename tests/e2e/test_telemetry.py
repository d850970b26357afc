"""Telemetry of ``loopwise up`` as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from loopwise.cli.init import created
from loopwise.compute.services import Service, free_port
from otlp_collector import collecting, plain

UP = "from loopwise.cli.main import main; main()"


def project(directory: Path, model_url: str, collector: str) -> str:
    """A project in front of a server of one's own; its gateway's address."""
    port = free_port()
    engine = f'[engine]\nkind = "openai"\nurl = "{model_url}/v1"\nmodel = "their-model"\n'
    with created(directory, f'{engine}[gateway]\nport = {port}\n[telemetry]\notlp_url = "{collector}"\n'):
        return f"http://127.0.0.1:{port}"


def test_what_waits_is_sent_when_the_gateway_is_told_to_stop(tmp_path: Path, model: Any):
    with collecting() as (collector, received):
        url = project(tmp_path, model.url, collector)
        service = Service("gateway", ["up", "--only", "gateway", "--dir", str(tmp_path)], tmp_path / "up.log")
        service.wait_ready(f"{url}/readyz")
        parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"traceparent": parent})
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(15)
        received.wait(spans=1)
    [span] = received.spans
    assert plain(span.attributes)["gen_ai.response.id"] == answer.json()["id"]
    assert span.parent_span_id.hex() == "00f067aa0ba902b7"


def test_a_missing_extra_is_said_before_anything_starts(tmp_path: Path, model: Any):
    project(tmp_path, model.url, "http://127.0.0.1:9")
    without = f"import sys; sys.modules['opentelemetry'] = None; sys.argv[0] = 'loopwise'; {UP}"
    command = [sys.executable, "-c", without, "up", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "it comes with the extra 'otel': pip install 'loopwise[otel]'" in done.stderr
