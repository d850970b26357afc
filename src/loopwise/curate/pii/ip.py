"""Internet addresses of version 4 and 6, as ``ipaddress`` reads them.

Addresses that stand for no machine in particular (loopback, unspecified, broadcast, netmasks) are left, and what is
more likely a version or a section number, or a slice or a name in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from loopwise.curate.pii.spans import Seen, Span

_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.|\[\.\])){3}\d{1,3}(?!\w|\.\d)", re.ASCII)  # 1[.]2[.]3[.]4, too
_V6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:])", re.ASCII)
_VERSIONED = re.compile(
    r"(?:\b(?:version|versions|ver|v|release|released|build|firmware|driver|upgraded?|updated?|section|sec|chapter|clause|"
    r"figure|fig|table|rule|appendix|paragraph|step|item|rev|revision|sdk|toolkit)\b\.?[\s:=\"'#]{0,3}(?:to |from )?|"
    r"(?:[=<>~!]=|[~^])[ \"']?|[A-Za-z][/-]|§ ?|(?:\d\.){3}\d{1,3} ?(?:to|-|and|or|,|→|->) ?)$",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(
    r"(?:(?:\b|_)(?:ip|ips|ipv4|addr|address|addresses|host|hosts|hostname|server|client|from|peer|ping|ssh|curl|gateway|dns|"
    r"nameserver|remote|source|src|dst|connect|inet|x-forwarded-for|x-real-ip)\b[\s:=\"'(\[]{1,4}(?:is |at |was )?|://|@)$",
    re.IGNORECASE,
)


def find_ips(seen: Seen) -> Iterator[Span]:
    text = seen.text
    if text.count(".") >= 3:
        yield from _find_v4(text)
    if "::" in text or text.count(":") >= 7:
        yield from _find_v6(text)


def _find_v4(text: str) -> Iterator[Span]:
    for match in _V4.finditer(text):
        try:
            address = IPv4Address(match[0].replace("[.]", "."))
        except AddressValueError:
            continue
        before = text[max(0, match.start() - 30) : match.start()]
        if address.is_loopback or address.packed[0] in (0, 255):
            continue
        if not _ADDRESSED.search(before) and (_VERSIONED.search(before) or max(address.packed) < 20):
            continue
        yield Span(match.start(), match.end(), "IP", str(address))


def _find_v6(text: str) -> Iterator[Span]:
    for match in _V6.finditer(text):
        written = match[0]
        if written.count(":") < 2:
            continue
        shown = written.rstrip(":") if written.endswith(":") and not written.endswith("::") else written
        try:
            address = IPv6Address(shown)
        except AddressValueError:
            continue
        if not (address.is_loopback or address.is_unspecified) and _no_slice(shown):
            yield Span(match.start(), match.start() + len(shown), "IP", str(address))


def _no_slice(written: str) -> bool:
    """Three groups, or a prefix that is in use: ``a::b`` and ``2::10`` are names and slices in code."""
    groups = [group for group in written.split(":") if group]
    return len(groups) >= 3 or (len(groups[0]) == 4 and groups[0][0] in "23fF" and not groups[0].isalpha())
