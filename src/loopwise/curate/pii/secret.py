"""Secrets without a shape of their own, known by what stands before them: ``password=…``, "api_key": "…".

A value in code that is a call, an attribute, a variable or a type is none, nor is a mask or a stand-in. Not covered:
passwords of letters alone, passphrases with spaces, secrets whose name says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopwise.curate.pii.keys import is_example, random_looking
from loopwise.curate.pii.spans import Seen, Span

_HINTS = ("passw", "passphrase", "passcode", "pwd", "secret", "token", "key", "credential", "passwort", "contraseña")
_ASSIGNED = re.compile(
    r"(?P<name>pass(?:word|wd|wort|phrase|code)|pwd|contraseña|"
    r"(?:(?:api|access|auth|private|secret|account|encryption|signing|client|master|session|storage|shared)"
    r"[_\- ]?){1,2}"
    r"(?:key|token|secret|id_token)|secret|token|credentials?|(?<=[?&])(?:key|sig|signature|code))"
    r"[\"'“”`\]]{0,2}[ \t]{0,3}(?:(?P<is>\b(?:is|ist|es)\b:?)|:=|=>|={1,2}|:)[ \t]{0,3}"
    r"(?:(?P<quote>[\"'“`])(?P<quoted>[^\"'“”`\n]{6,300})[\"'”`]|(?P<bare>[^\s\"'`<>{}()\[\],;]{6,300}))",
    re.IGNORECASE,
)
_PASSWORDS = ("pass", "pwd", "contra", "secret")  # what people choose themselves; other kinds are drawn
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")  # settings.API_KEY2
_GOES_ON = re.compile(r"[(\[]|\.\w")  # a call, an index, an attribute
_NAMED = re.compile(r"pass|pwd|secret|token|key|env|config|argv|input|hash", re.IGNORECASE)


def find_secrets(seen: Seen) -> Iterator[Span]:
    if not any(hint in seen.lowered for hint in _HINTS):
        return
    for match in _ASSIGNED.finditer(seen.text):
        start, end = match.span("quoted" if match["quote"] else "bare")
        if seen.text[match.start() - 1 : match.start()] in ("?", "&") and match.start():
            end = min(end, start + len(re.split("[&#]", seen.text[start:end], maxsplit=1)[0]))
        if not match["quote"]:
            end = start + len(seen.text[start:end].rstrip(".,:!?\\" if match["is"] else ".,:\\"))
        value, name = seen.text[start:end], match["name"].lower()
        if is_example(value) or (not match["quote"] and _GOES_ON.match(seen.text, end)):
            continue
        if _secret(value, any(word in name for word in _PASSWORDS), match["quote"] is not None):
            yield Span(start, end, "KEY", value)


def _secret(value: str, password: bool, quoted: bool) -> bool:
    if not password or " " in value:
        return " " not in value and random_looking(value)
    if not quoted and (_PATH.match(value) or ("_" in value and _NAMED.search(value))):
        return False
    letters = any(character.isalpha() for character in value)
    digits = any(character.isdigit() for character in value)
    signs = any(character in "!@#$%^&*?~+=" for character in value[:-1])
    return letters and (digits or signs) and not (_NAMED.search(value) and value.isidentifier() and not quoted)
