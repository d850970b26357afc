"""Ten formats that people paste into a chat, each holding made things to find among numbers that are nobody's."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from benchmarks.redaction.entities import MAKERS, secret
from benchmarks.redaction.labels import Made, Record, record

_NOUNS = {"EMAIL": "email", "PHONE": "phone", "CARD": "card", "IBAN": "iban", "IP": "ip", "KEY": "api_key"}
_SENTENCES = {
    "EMAIL": ["Please write to {} by Friday.", "My address is {}, thanks.", "I forwarded it to {} and got no answer."],
    "PHONE": ["Call me at {} after six.", "You can reach the office on {}.", "{} is my number.", "Her mobile: {}."],
    "CARD": ["I paid with {} last week.", "The card {} was charged twice.", "Use {} for the deposit."],
    "IBAN": ["Transfer it to {} please.", "Our account is {} at the savings bank.", "IBAN: {}."],
    "IP": ["The requests come from {} mostly.", "I can ping {} but nothing else.", "{} was blocked by the firewall."],
    "KEY": ["It still says that {} is invalid.", "I set the key to {} as described.", "Here is the token: {}"],
}


def prose(things: list[Made], rng: random.Random) -> str:
    said = [rng.choice(_SENTENCES[thing.kind]).format(thing.labelled) for thing in things]
    return " ".join([_chatter(rng), *said, _chatter(rng)])


def markdown(things: list[Made], rng: random.Random) -> str:
    items = "\n".join(
        rng.choice(["- **{}**: {}", "* {}: `{}`", "| {} | {} |"]).format(_NOUNS[t.kind], t.labelled) for t in things
    )
    return f"## Ticket {rng.randrange(10_000, 99_999)}\n\n{_chatter(rng)}\n\n{items}\n"


def as_json(things: list[Made], rng: random.Random) -> str:
    fields = {f"{_NOUNS[t.kind]}{i or ''}": t.labelled for i, t in enumerate(things)}
    document = {"id": rng.getrandbits(40), "at": _date(rng), "amount": rng.randrange(99_999) / 100, **fields}
    return json.dumps(document, ensure_ascii=False, indent=rng.choice([None, 2]))


def env(things: list[Made], rng: random.Random) -> str:
    lines = [f"VERSION={_version(rng)}", f"PORT={rng.randrange(1024, 65536)}"]
    for t in things:
        name = _NOUNS[t.kind]
        lines.append(rng.choice([f"{name.upper()}={t.labelled}", f'{name}: "{t.labelled}"', f"{name}: {t.labelled}"]))
    hidden = secret(rng).labelled
    return "\n".join([*lines, rng.choice([f"DB_PASSWORD={hidden}", f'secret_key: "{hidden}"', f"password: {hidden}"])])


def csv(things: list[Made], rng: random.Random) -> str:
    header = ",".join(["order", "date", *(_NOUNS[t.kind] for t in things)])
    row = ",".join([str(rng.randrange(10**9, 10**10)), _date(rng), *(f'"{t.labelled}"' for t in things)])
    return f"{header}\n{row}"


def log(things: list[Made], rng: random.Random) -> str:
    stamp = f"{_date(rng)}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:07.{rng.randrange(999_999):06d}Z"
    begins = f"{stamp} [{rng.randrange(9999)}] INFO app/{_version(rng)}"
    return "\n".join(f"{begins} {_NOUNS[t.kind]}={t.labelled} took {rng.random():.3f}s" for t in things)


def code(things: list[Made], rng: random.Random) -> str:
    body = "\n".join(
        rng.choice(['{} = "{}"', "{} = '{}'", 'client.send({}="{}")']).format(_NOUNS[t.kind], t.labelled)
        for t in things
    )
    hidden = secret(rng).labelled
    return (
        f"import numpy as np\nx = a@b.T + {rng.random():.12f}\nfor i in range({rng.randrange(10**7)}):\n    pass\n"
        f"{body}\n"
        f"def check(password: str, token=None):\n    return token == tokens[0]\n"
        f"db = connect('postgres://app:{hidden}@db.internal/main')\n"
    )


def html(things: list[Made], rng: random.Random) -> str:
    rows = "".join(
        rng.choice(["<li>{0}: <b>{1}</b></li>", '<td class="{0}">{1}</td>']).format(_NOUNS[t.kind], t.labelled)
        for t in things
    )
    return f'<div id="c{rng.randrange(10**6)}"><p>{_chatter(rng)}</p><ul>{rows}</ul><!-- v{_version(rng)} --></div>'


def headers(things: list[Made], rng: random.Random) -> str:
    names = {"EMAIL": "From", "PHONE": "X-Phone", "IP": "Received: from mail by mx; X-Originating-IP"}
    lines = [f"{names.get(t.kind, 'Subject: ' + _NOUNS[t.kind])}: {t.labelled}" for t in things]
    return "\n".join([f"Date: {_date(rng)} 10:22:31 +0200", *lines, "MIME-Version: 1.0", "", _chatter(rng)])


def chat(things: list[Made], rng: random.Random) -> str:
    lines: list[str] = []
    for t in things:
        lines += [f"user: {rng.choice(_SENTENCES[t.kind]).format(t.labelled)}", f"assistant: {_chatter(rng)}"]
    hidden = secret(rng).labelled
    return "\n".join([*lines, rng.choice([f"user: my password is {hidden}", f"user: password: {hidden} ok?"])])


FORMATS: dict[str, Callable[[list[Made], random.Random], str]] = {
    "prose": prose, "markdown": markdown, "json": as_json, "env": env, "csv": csv,
    "log": log, "code": code, "html": html, "headers": headers, "chat": chat,
}  # fmt: skip


def make(n: int, seed: int) -> list[Record]:
    """``n`` labelled records, the formats in turn, with one to three things each."""
    rng = random.Random(seed)
    records: list[Record] = []
    for i in range(n):
        form = list(FORMATS)[i % len(FORMATS)]
        things = [maker(rng) for maker in rng.sample(MAKERS, rng.randint(1, 3))]
        records.append(record(FORMATS[form](things, rng), form))
    return records


def _chatter(rng: random.Random) -> str:
    n = rng.randrange(10**6)
    return rng.choice(
        [
            f"Order {rng.randrange(10**6, 10**10)} from {_date(rng)} came to ${n / 100}.",
            f"We have had {rng.randrange(10**6):,} visits since version {_version(rng)}.",
            f"It is {rng.randrange(40)} degrees and {rng.random() * 100:.2f} % of {n} seats are taken.",
            "Thanks for looking at it, the meeting is at noon dot on time.",
            f"See chapter {n % 9}.{n % 8}.{n % 7}.{n % 6} on page {rng.randrange(900)}.",
        ]
    )


def _date(rng: random.Random) -> str:
    return f"{rng.randrange(1990, 2030)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"


def _version(rng: random.Random) -> str:
    return ".".join(str(rng.randrange(20)) for _ in range(rng.randint(2, 4)))
