"""Keys and tokens with a shape of their own: a provider's prefix, a JSON Web Token (RFC 7519), a PEM block (RFC 7468),
credentials in a URL or in an Authorization header (RFC 6750, RFC 7617)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopwise.curate.pii.spans import Seen, Span

_SHAPES: tuple[tuple[str, str], ...] = (  # what must be in the text, and the shape
    ("sk-", r"sk-[\w-]{20,220}"),  # OpenAI, Anthropic, OpenRouter
    ("lw_", r"lw_[0-9a-z]{8}_[\w-]{20,100}"),  # ours
    ("akia", r"AKIA[A-Z0-9]{16}"),  # AWS
    ("asia", r"ASIA[A-Z0-9]{16}"),
    ("ghp_", r"ghp_[A-Za-z0-9]{30,255}"),  # GitHub
    ("gho_", r"gho_[A-Za-z0-9]{30,255}"),
    ("ghu_", r"ghu_[A-Za-z0-9]{30,255}"),
    ("ghs_", r"ghs_[A-Za-z0-9]{30,255}"),
    ("ghr_", r"ghr_[A-Za-z0-9]{30,255}"),
    ("github_pat_", r"github_pat_\w{22,255}"),
    ("glpat-", r"glpat-[\w-]{20,100}"),  # GitLab
    ("xox", r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,250}"),  # Slack
    ("xapp-", r"xapp-[\w-]{20,250}"),
    ("hooks.slack.com", r"hooks\.slack\.com/services/[\w/]{20,100}"),
    ("aiza", r"AIza[\w-]{35}"),  # Google
    ("gocspx-", r"GOCSPX-[\w-]{20,60}"),
    ("ya29.", r"ya29\.[\w-]{20,512}"),
    ("k_live_", r"[srp]k_live_[A-Za-z0-9]{16,250}"),  # Stripe
    ("k_test_", r"[srp]k_test_[A-Za-z0-9]{16,250}"),
    ("whsec_", r"whsec_[A-Za-z0-9+/=]{20,100}"),
    ("hf_", r"hf_[A-Za-z0-9]{30,60}"),  # Hugging Face
    ("npm_", r"npm_[A-Za-z0-9]{36}"),
    ("pypi-", r"pypi-[\w-]{40,300}"),
    ("sg.", r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),  # SendGrid
    ("eyj", r"eyJ[\w-]{8,4000}\.[\w-]{8,8000}\.[\w-]{0,2000}"),  # JWT
)
_COMPILED = tuple((hint, re.compile(rf"(?<![A-Za-z0-9_\-]){shape}")) for hint, shape in _SHAPES)
_WORDY = frozenset({"sk-", "hf_", "xapp-"})  # class names in style sheets and variables begin like this, too
_HEADER = re.compile(
    r"(?<![A-Za-z])(?:Bearer[ \t]{1,4}|(?:Authorization|auth)[\"']?[ \t]?[:=][ \t]?[\"']?(?:Basic|Token)[ \t]{1,4})"
    r"([\w.~+/\-]{12,4000}={0,2})",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"://([^\s:/@\"'<>]{0,64}):([^\s/@\"'<>]{3,128})@")
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BODY = re.compile(r"(?:[A-Za-z0-9+/=:,.\s]|-(?!----)|\\[nr])*")
_CUT_BODY = re.compile(r"(?:(?:\s|\\[nr]){0,4}[A-Za-z0-9+/=]{16,})*")
_EXAMPLE = re.compile(
    r"^[$%<{\[]|[$#]\{|\{\{|\*\*\*|\.\.\.|…|^x+$|your|changeme|change_me|placeholder|redacted|^(?:user|username|pass|password|passwd|pwd|"
    r"secret|token|key|none|null|true|false|undefined|string)$",
    re.IGNORECASE,
)


def find_keys(seen: Seen) -> Iterator[Span]:
    text, lowered = seen.text, seen.lowered
    if "private key" in lowered:
        yield from _find_pem(text)
    for hint, shape in _COMPILED:
        if hint in lowered:
            for match in shape.finditer(text):
                if hint not in _WORDY or random_looking(match[0]):
                    yield Span(match.start(), match.end(), "KEY", match[0])
    if "bearer" in lowered or "auth" in lowered:
        for match in _HEADER.finditer(text):
            if random_looking(match[1]) or (len(match[1]) >= 16 and match[1].endswith("=")):
                yield Span(match.start(1), match.end(1), "KEY", match[1])
    if "://" in text and "@" in text:
        for match in _IN_URL.finditer(text):
            if not is_example(match[2]):
                yield Span(match.start(2), match.end(2), "KEY", match[2])


def random_looking(value: str) -> bool:
    """Whether a token was drawn rather than named: twelve letters and digits in a row, of which some are digits, or
    as many capitals as no name in camel case has."""
    run = max(re.split(r"[^A-Za-z0-9]", value), key=len)
    digits = sum(character.isdigit() for character in run)
    capitals = sum(character.isupper() for character in run)
    letters = len(run) - digits
    return (
        len(run) >= 12
        and letters >= 2
        and (digits >= 2 or (len(run) >= 20 and min(capitals, letters - capitals) >= len(run) / 4))
    )


def is_example(value: str) -> bool:
    """Whether it stands where a secret goes: a variable, a mask, a word like "changeme"."""
    return _EXAMPLE.search(value) is not None


def _find_pem(text: str) -> Iterator[Span]:
    """Whole blocks; of one whose end is missing, what looks like its body."""
    for begin in _BEGIN.finditer(text):
        body = _BODY.match(text, begin.end())
        last = _END.match(text, body.end()) if body else None
        last = last or _CUT_BODY.match(text, begin.end()) or begin
        yield Span(begin.start(), last.end(), "KEY", text[begin.start() : last.end()])
