"""E-mail addresses (RFC 5321's dot-string form, RFC 6531's other alphabets), also as people hide them from robots.

An address ends in a top-level domain that exists, so that ``x@self.weight`` in code is none. Not covered: quoted local
parts (``"a b"@example.com``), addresses spelled out with other words than "at" and "dot".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopwise.curate.pii.spans import Seen, Span
from loopwise.curate.pii.tlds import TLDS

_SIGNS = ("@", "%40", "&#64;", "&#x40;", "&commat;", "\\u0040")  # as HTML, URLs and JSON write it
_AT = re.compile(rf"(?:{'|'.join(map(re.escape, _SIGNS))})((?:\w[\w-]{{0,62}}\.){{1,8}}[\w-]{{2,24}})", re.IGNORECASE)
_LOCAL_REVERSED = re.compile(r"[\w!#$%&'*+/=?^`{|}~-][\w.!#$%&'*+/=?^`{|}~-]{0,63}")
_BEFORE = ("=", "/", "?", "&", "|", "{", "}")  # allowed in a local part, but a URL's or template's signs in practice
_SERVICE = frozenset({"git", "hg", "svn"})  # git@github.com:… names a server, nobody's mailbox

_HIDING = (" dot ", "dot)", "dot]", "dot}", "(at)", "[at]", "{at}", "<at>", "( at )", "[ at ]", "[@]", "(@)")
_SPELLED = re.compile(
    r"(?<![\w.@-])(\w[\w.+-]{0,63})(?P<at> ?[(\[{<] ?(?:at|@) ?[)\]}>] ?| at )"
    r"((?:[\w-]{1,63}(?P<dot> ?\. ?| dot | ?[(\[{<] ?(?:dot|\.) ?[)\]}>] ?)){1,4})([a-z]{2,24})(?![\w@-])",
    re.IGNORECASE,
)
_SPOKEN = frozenset(  # those that are no words of their own: "stay at home dot by dot"
    "com net org edu gov info io de fr uk eu ch nl se dk pl es jp cn ru br ca au dev ai app co".split()  # noqa: SIM905
)
_DOT = re.compile(r" ?[(\[{<] ?(?:dot|\.) ?[)\]}>] ?| dot ", re.IGNORECASE)


def find_emails(seen: Seen) -> Iterator[Span]:
    if any(sign in seen.lowered for sign in _SIGNS):
        yield from _find_plain(seen.text)
    if any(sign in seen.lowered for sign in _HIDING):
        yield from _find_spelled(seen.text)


def _find_plain(text: str) -> Iterator[Span]:
    for match in _AT.finditer(text):
        local, domain = _local(text, match.start()), _domain(match[1])
        end = match.start(1) + len(domain)
        if not local or not domain or text[end : end + 1] in ("(", "["):
            continue  # a call or an index follows: code
        if local.lower() in _SERVICE and text[end : end + 1] == ":":
            continue
        yield Span(match.start() - len(local), end, "EMAIL", f"{local}@{domain}".lower())


def _local(text: str, at: int) -> str:
    """The local part that ends where ``at`` is; empty where there is none."""
    found = _LOCAL_REVERSED.match(text[max(0, at - 64) : at][::-1])
    local = found[0][::-1] if found else ""
    begins = at - len(local)
    if begins and text[begins - 1] == "\\" and local[:1] in ("n", "r", "t"):
        local = local[1:]  # the end of an escape like \n, not a letter of the address
    for sign in _BEFORE:
        local = local.rpartition(sign)[2]
    return local.lstrip(".!#$%^*~-'`")


def _domain(written: str) -> str:
    """The longest start of the name that ends in a top-level domain: text may go on without a space after it."""
    labels = written.split(".")
    while len(labels) > 1 and not _top(labels[-1]):
        labels.pop()
    return ".".join(labels) if len(labels) > 1 else ""


def _top(label: str) -> bool:
    lowered = label.lower()
    if not lowered.isascii():
        return lowered.isalpha()
    exists = lowered in TLDS or lowered.startswith("xn--")
    return exists and label in (lowered, label.upper(), label.capitalize())  # the "mT" of q@k.mT is an attribute


def _find_spelled(text: str) -> Iterator[Span]:
    for match in _SPELLED.finditer(text):
        top, bare = match[5].lower(), match["at"].lower() == " at "
        if top not in (_SPOKEN if bare else TLDS) or (bare and "." in match["dot"]):
            continue  # "look at example.com" is prose
        domain = _DOT.sub(".", match[3] + match[5]).replace(" ", "")
        yield Span(match.start(), match.end(), "EMAIL", f"{match[1]}@{domain}".lower())
