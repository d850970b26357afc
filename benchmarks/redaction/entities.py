"""Made things to find, by seed: nobody's addresses and numbers with right check digits, in plain and hostile form."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable
from ipaddress import IPv6Address

from benchmarks.redaction.labels import Made

_FIRST = (
    "anna", "bob", "chen", "dara", "emeka", "fatima", "goran", "hanna", "ivan", "jose", "kofi", "lena", "mina", "noor",
)  # fmt: skip
_LAST = ("becker", "o'neil", "garcia", "ito", "jansen", "lund", "moreau", "nguyen", "okafor", "patel", "silva", "weber")
_HOSTS = (
    "gmail.com",
    "posteo.de",
    "mail.kyoto-u.ac.jp",
    "corp.example.co.uk",
    "startup.io",
    "verein.museum",
    "uni-köln.de",
)
_LOOKS = str.maketrans("aeopcx", "аеорсх")  # noqa: RUF001 - Cyrillic letters that look like these
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")  # noqa: RUF001
_ALPHANUMERIC = string.ascii_letters + string.digits


def email(rng: random.Random) -> Made:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    local = rng.choice([f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}+news", f"{first}{rng.randrange(100)}"])
    host = rng.choice(_HOSTS)
    plain = f"{local}@{host}"
    if rng.random() < 0.6:
        return Made("EMAIL", rng.choice([plain, plain, plain.upper(), plain.title() if host.isascii() else plain]))
    local, host = (
        f"{first}.{rng.choice('kmtw')}",
        f"{rng.choice(['example', 'mailbox'])}.{rng.choice(['com', 'org', 'de'])}",
    )
    name, top = host.split(".")
    trick = rng.choice(["spelled", "zero width", "full width", "escaped", "look-alike"])
    ways = {
        "spelled": rng.choice(
            [
                f"{local} (at) {name} (dot) {top}",
                f"{local} at {name} dot {top}",
                f"{local}[at]{name}[dot]{top}",
                f"{local} AT {name} DOT {top}",
                f"{local}(at){name}.{top}",
                f"{local} [@] {name} . {top}",
            ]
        ),
        "zero width": _sprinkle(f"{local}@{host}", rng),
        "full width": f"{local}＠{name}．{top}",  # noqa: RUF001
        "escaped": rng.choice([f"{local}%40{host}", f"{local}&#64;{host}", f"{local}\\u0040{host}"]),
        "look-alike": f"{local}@{name.translate(_LOOKS)}.{top}",
    }
    return Made("EMAIL", ways[trick], trick)


def phone(rng: random.Random) -> Made:
    def d(n: int) -> str:
        return "".join(rng.choice("0123456789") for _ in range(n))

    area, exchange, line = (
        f"{rng.randint(2, 9)}{rng.randint(0, 9)}{rng.randint(2, 9)}",
        f"{rng.randint(2, 9)}{d(2)}",
        d(4),
    )
    ways = [
        f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"{area}.{exchange}.{line}",
        f"+1 {area} {exchange} {line}", f"+1-{area}-{exchange}-{line}", f"1-{area}-{exchange}-{line}",
        f"+44 20 7{d(3)} {d(4)}", f"020 7{d(3)} {d(4)}", f"07{d(3)} {d(6)}", f"+49 30 {d(7)}", f"+49 (0)89 {d(6)}",
        f"030/{d(7)}", f"0171-{d(7)}", f"+33 6 {d(2)} {d(2)} {d(2)} {d(2)}", f"06 {d(2)} {d(2)} {d(2)} {d(2)}",
        f"+91 98{d(3)} {d(5)}", f"+81-3-{d(4)}-{d(4)}", f"03-{d(4)}-{d(4)}", f"+55 11 9{d(4)}-{d(4)}", f"+34612{d(6)}",
        f"+41 44 {d(3)} {d(2)} {d(2)}", f"+61 4{d(2)} {d(3)} {d(3)}",
    ]  # fmt: skip
    if rng.random() < 0.6:
        return Made("PHONE", rng.choice(ways))
    number = f"{area}-{exchange}-{line}"
    trick = rng.choice(
        ["extension", "line break", "full width", "odd dashes", "zero width", "ungrouped", "bare groups"]
    )
    tricked = {
        "extension": rng.choice([f"{number} x{d(3)}", f"{number} ext. {d(2)}", f"+49 30 {d(6)} ext {d(3)}"]),
        "line break": f"+1 {area} {exchange}\n{line}",
        "full width": number.translate(_WIDE),
        "odd dashes": number.replace("-", rng.choice("‑–−")),  # noqa: RUF001
        "zero width": _sprinkle(number, rng),
        "ungrouped": f"{area}{exchange}{line}",
        "bare groups": rng.choice([f"6{d(2)} {d(3)} {d(3)}", f"{area} {exchange} {line}"]),
    }
    return Made("PHONE", tricked[trick], trick)


def card(rng: random.Random) -> Made:
    prefix, length = rng.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("6011", 16), ("3528", 16)]
    )
    body = prefix + "".join(rng.choice("0123456789") for _ in range(length - len(prefix) - 1))
    digits = next(body + check for check in "0123456789" if luhn_sum(body + check) % 10 == 0)
    sizes = (4, 6, 5) if length == 15 else (4, 4, 4, 4)
    grouped = _grouped(digits, sizes)
    if rng.random() < 0.6:
        return Made("CARD", rng.choice([digits, " ".join(grouped), "-".join(grouped)]))
    trick = rng.choice(["line break", "full width", "odd dashes", "zero width", "dots", "spaced out"])
    cut = rng.randint(5, 10)
    ways = {
        "line break": rng.choice(
            [f"{digits[:cut]}\n{digits[cut:]}", " ".join(grouped[:2]) + "\n" + " ".join(grouped[2:])]
        ),
        "full width": " ".join(grouped).translate(_WIDE),
        "odd dashes": rng.choice("‑–\u00a0").join(grouped),  # noqa: RUF001
        "zero width": _sprinkle(digits, rng),
        "dots": ".".join(grouped),
        "spaced out": " ".join(digits),
    }
    return Made("CARD", ways[trick], trick)


def luhn_sum(digits: str) -> int:
    """The sum that a right number has divisible by ten; written from the standard, apart from what is measured."""
    return sum(sum(divmod(int(digit) * 2, 10)) if i % 2 else int(digit) for i, digit in enumerate(digits[::-1]))


_IBANS = {
    "DE": "18n",
    "GB": "4a14n",
    "FR": "10n11c2n",
    "NL": "4a10n",
    "ES": "20n",
    "MT": "4a5n18c",
    "NO": "11n",
    "PL": "24n",
}
_IBANS |= {"IT": "1a10n12c", "CH": "5n12c", "SE": "20n", "BR": "23n1a1c"}


def iban(rng: random.Random) -> Made:
    country = rng.choice(sorted(_IBANS))
    body = "".join(
        rng.choice({"n": string.digits, "a": string.ascii_uppercase, "c": string.digits + string.ascii_uppercase}[kind])
        for count, kind in _parts(_IBANS[country])
        for _ in range(count)
    )
    number = int("".join(str(ord(c) - 55) if c.isalpha() else c for c in f"{body}{country}00"))
    written = f"{country}{98 - number % 97:02d}{body}"
    grouped = _grouped(written, (4,) * 8)
    if rng.random() < 0.6:
        return Made("IBAN", rng.choice([written, " ".join(grouped)]))
    trick = rng.choice(["lower case", "line break", "full width", "zero width", "dashes", "odd spaces"])
    ways = {
        "lower case": rng.choice([written.lower(), " ".join(grouped).lower()]),
        "line break": " ".join(grouped[:3]) + "\n" + " ".join(grouped[3:]),
        "full width": " ".join(grouped).translate(_WIDE),
        "zero width": _sprinkle(written, rng),
        "dashes": "-".join(grouped),
        "odd spaces": "\u00a0".join(grouped),
    }
    return Made("IBAN", ways[trick], trick)


def ip(rng: random.Random) -> Made:
    octets = [str(rng.choice([*range(23, 127), *range(128, 224)])), *(str(rng.randrange(256)) for _ in range(3))]
    four = ".".join(octets)
    six = IPv6Address((0x2A02 << 112) + (rng.getrandbits(32) << 80) + rng.getrandbits(rng.choice([16, 64])))
    if rng.random() < 0.75:
        return Made("IP", rng.choice([four, four, four, str(six), six.exploded, six.compressed.upper()]))
    trick = rng.choice(["full width", "defanged", "zero width", "private"])
    ways = {
        "full width": four.translate(_WIDE),
        "defanged": "[.]".join(octets),
        "zero width": _sprinkle(four, rng),
        "private": f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}",
    }
    return Made("IP", ways[trick], trick)


def key(rng: random.Random) -> Made:
    def a(n: int, alphabet: str = _ALPHANUMERIC) -> str:
        return "".join(rng.choice(alphabet) for _ in range(n))

    url = string.ascii_letters + string.digits + "-_"
    ways: dict[str, Callable[[], str]] = {
        "openai": lambda: f"sk-{rng.choice(['', 'proj-', 'svcacct-'])}{a(48)}",
        "anthropic": lambda: f"sk-ant-api03-{a(90, url)}AA",
        "aws": lambda: f"{rng.choice(['AKIA', 'ASIA'])}{a(16, string.ascii_uppercase + '234567')}",
        "github": lambda: rng.choice([f"gh{rng.choice('pousr')}_{a(36)}", f"github_pat_{a(22)}_{a(59)}"]),
        "slack": lambda: f"xox{rng.choice('bp')}-{a(12, string.digits)}-{a(12, string.digits)}-{a(24)}",
        "google": lambda: f"AIza{a(35, url)}",
        "stripe": lambda: f"{rng.choice(['sk', 'rk'])}_{rng.choice(['live', 'test'])}_{a(24)}",
        "hugging face": lambda: f"hf_{a(34)}",
        "ours": lambda: f"lw_{a(8, '0123456789abcdefghjkmnpqrstvwxyz')}_{a(43, url)}",
        "jwt": lambda: ".".join([_b64('{"alg":"HS256"}'), _b64(f'{{"sub":"{a(10)}"}}'), a(43, url)]),
        "pem": lambda: _pem(a),
        "zero width": lambda: _sprinkle(f"ghp_{a(36)}", rng),
    }
    name = rng.choice(sorted(ways))
    return Made("KEY", ways[name](), "zero width" if name == "zero width" else "")


def secret(rng: random.Random) -> Made:
    """A secret that only what stands before it gives away; the formats put that there."""
    word = rng.choice(["hunter", "Sommer", "dragon", "Tr0ub4dor", "winter"])
    hexadecimal = f"{rng.getrandbits(128):032x}"
    long = "".join(rng.choice(_ALPHANUMERIC) for _ in range(40))
    return Made(
        "KEY", rng.choice([f"{word}{rng.randrange(10, 9999)}", f"{word}!{rng.randrange(99)}x", hexadecimal, long])
    )


def _pem(a: Callable[..., str]) -> str:
    lines = "\n".join(a(64, _ALPHANUMERIC + "+/") for _ in range(4))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _sprinkle(text: str, rng: random.Random) -> str:
    """Hides one to three characters without width inside."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(1, len(text))
        text = text[:at] + rng.choice("\u200b\u200c\u2060\ufeff\u00ad") + text[at:]
    return text


def _grouped(text: str, sizes: tuple[int, ...]) -> list[str]:
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [text[start : start + size] for start, size in zip(starts, sizes, strict=True) if text[start:]]


def _parts(structure: str) -> list[tuple[int, str]]:
    """``4a14n`` → [(4, "a"), (14, "n")], as the IBAN registry writes it."""
    found: list[tuple[int, str]] = []
    count = ""
    for character in structure:
        if character.isdigit():
            count += character
        else:
            found.append((int(count), character))
            count = ""
    return found


MAKERS = (email, phone, card, iban, ip, key)
