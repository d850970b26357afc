"""Text in which nothing is to be found: real problems, answers and code, and made numbers that look like something."""

from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks.redaction.labels import Record

DATA = Path(__file__).parents[3] / "shared" / "data"


def real(data: Path = DATA) -> list[Record]:
    """Grade-school problems with worked answers, four models' paths to them, and Python problems with solutions and
    tests; empty where the folder is absent."""
    if not data.is_dir():
        return []
    found: list[Record] = []
    for row in _rows(data / "gsm8k" / "problems.jsonl"):
        found.append(Record(f"{row['question']}\n{row['worked']}", (), "gsm8k problems"))
    for row in _rows(data / "gsm8k" / "paths.jsonl"):
        found.append(Record(row["text"], (), "gsm8k answers"))
    for row in _rows(data / "humaneval" / "problems.jsonl"):
        found.append(Record("\n".join(str(value) for value in row.values()), (), "humaneval code"))
    return found


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def made(n_each: int, seed: int) -> list[Record]:
    """``n_each`` of every kind of number and code that is easily taken for something else."""
    rng = random.Random(seed)
    return [Record(maker(rng), (), name) for name, maker in LOOKALIKES.items() for _ in range(n_each)]


def _digits(rng: random.Random, n: int) -> str:
    return str(rng.randint(1, 9)) + "".join(rng.choice(string.digits) for _ in range(n - 1))


def _versions(rng: random.Random) -> str:
    four = ".".join(str(rng.randrange(15)) for _ in range(4))
    wide = f"{rng.randrange(80, 130)}.0.{rng.randrange(9999)}.{rng.randrange(200)}"
    return rng.choice(
        [
            f"Upgrade to version {four} today.",
            f"pip install torch=={four}",
            f"Chrome/{wide} Safari/537.36",
            f"driver v{wide}",
            f"Assembly version 10.0.{rng.randrange(256)}.{rng.randrange(256)}",
            f"See section {four}.",
            f"lib-{four}.tar.gz",
        ]
    )


def _dates(rng: random.Random) -> str:
    y, m, d = rng.randrange(1900, 2040), rng.randrange(1, 13), rng.randrange(1, 29)
    clock = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
    return rng.choice(
        [
            f"on {d:02d}.{m:02d}.{y} at {clock}",
            f"{y}-{m:02d}-{d:02d} {clock}",
            f"{d:02d}/{m:02d}/{y}",
            f"{y}{m:02d}{d:02d}T120000",
            f"from {d:02d}-{m:02d}-{y} to {d:02d}-{m:02d}-{y + 1}",
            f"{y}-{y + 5}, {y + 6}-{y + 9}",
            f"epoch {_digits(rng, 13)}",
        ]
    )


def _isbns(rng: random.Random) -> str:
    body = "0" + _digits(rng, 8)
    check = "0123456789X"[-sum((10 - i) * int(c) for i, c in enumerate(body)) % 11]
    return rng.choice(
        [
            f"ISBN {body[0]}-{body[1:4]}-{body[4:]}-{check}",
            f"ISBN-13 978-{body[0]}-{body[1:4]}-{body[4:]}-7",
            f"isbn: {body}{check}",
        ]
    )


def _orders(rng: random.Random) -> str:
    return rng.choice(
        [
            f"Order #{_digits(rng, 10)} shipped.",
            f"Invoice {_digits(rng, 12)} is paid.",
            f"Ticket {_digits(rng, 8)}-{_digits(rng, 4)}",
            f"order 112-{_digits(rng, 7)}-{_digits(rng, 7)}",
            f"tracking no. {_digits(rng, 22)}",
            f"SKU {_digits(rng, 13)}",
            f"part number {_digits(rng, 3)}-{_digits(rng, 3)}-{_digits(rng, 4)}",
            f"tweet {_digits(rng, 19)}",
        ]
    )


def _math(rng: random.Random) -> str:
    a, b = rng.randrange(10**6), rng.randrange(10**6)
    return rng.choice(
        [
            f"{a} + {b} = {a + b}",
            f"{a} * {b} = {a * b}",
            f"{a}! / {b}",
            f"pi = 3.14159265358979323846 + {a}",
            f"2^64 = {2**64}",
            f"x = {rng.random():.16f}, y = {rng.random():.16f}",
            f"{a}-{b}-{a // 7} = {a - b - a // 7}",
            f"({a})({b})",
            " ".join(_digits(rng, rng.randint(1, 5)) for _ in range(12)),
            f"{a * 1000:,} of {b * 100000:,}",
        ]
    )


def _hashes(rng: random.Random) -> str:
    digest = f"{rng.getrandbits(256):064x}"
    return rng.choice(
        [
            f"sha256:{digest}",
            f"commit {digest[:40]}",
            f"md5 {digest[:32]}",
            str(uuid.UUID(int=rng.getrandbits(128))),
            f"request {uuid.UUID(int=rng.getrandbits(128))}",
            ":".join(digest[i : i + 2] for i in range(0, 12, 2)),
            f"0x{digest[:16]}",
            f'etag "{digest[:16]}"',
            f"#{digest[:6]}",
            " ".join(digest[i : i + 2] for i in range(0, 32, 2)),
        ]
    )


def _places(rng: random.Random) -> str:
    return rng.choice(
        [
            f"{rng.uniform(-90, 90):.7f}, {rng.uniform(-180, 180):.7f}",
            f"Zip {_digits(rng, 5)}-{_digits(rng, 4)}",
            f"{rng.uniform(1, 99):.2f} million people and {_digits(rng, 9)} cells",
            f"EUR {_digits(rng, 4)}.{_digits(rng, 2)}",
            f"room {_digits(rng, 3)}, floor {_digits(rng, 1)}, 10.30 to 11.45",
            f"rows 0 to {_digits(rng, 7)} of {_digits(rng, 8)}",
        ]
    )


def _code(rng: random.Random) -> str:
    n = rng.randrange(10**6)
    return rng.choice(
        [
            "password = getpass.getpass()", "token = lexer.next_token()", "api_key = os.environ['OPENAI_API_KEY']",
            "def login(user: str, password: str) -> Token: ...", "secret = settings.SECRET_KEY",
            'password: "your-password"',
            "export OPENAI_API_KEY=<your key>", "y = q@self.weight + x@w.mT", "@app.route('/users')\ndef users(): ...",
            "std::vector<int> a; ns::dec(fe::ab)", "x[::2], y[10::20], z[::-1]", "token_ids = tokenizer(text)[0]",
            "<div class=\"sk-container-id-1 sk-parallel-item\">", "for key, value in d.items(): key = value",
            "key = lambda row: row[1]", "if token == 'EOF' and key is not None: password = None",
            "The secret is to start early; the token is worth 100 points.", "passwords: at least 12 characters",
            "{\"max_tokens\": 4096, \"total_tokens\": 128, \"key\": \"value\"}", "tokens: 1234567",
            "PASSWORD=${DB_PASSWORD}",
        ]
    ) + f"  # {n}"  # fmt: skip


def _prose(rng: random.Random) -> str:
    return rng.choice(
        [
            "Meet me at the station, look at example.com, and call it a day at 10.",
            f"I will call {rng.randrange(2, 9)} times or text 3 people about {_digits(rng, 7)} things.",
            f"The phone costs {_digits(rng, 3)} dollars, and the cell has {_digits(rng, 6)} ions.",
            f"Read the dot plot at home dot by dot, {_digits(rng, 4)} dots in all.",
            "Apples @ $3.50 each, pears @ 2.25 a kilo.",
            f"Telephone lines grew from {_digits(rng, 6)} in 1990 to {_digits(rng, 7)} in 2010.",
            "@everyone see @anna's note",
        ]
    )


LOOKALIKES: dict[str, Callable[[random.Random], str]] = {
    "versions": _versions, "dates and times": _dates, "ISBNs": _isbns, "order numbers": _orders, "arithmetic": _math,
    "hashes and ids": _hashes, "places and amounts": _places, "code about secrets": _code, "prose": _prose,
}  # fmt: skip
