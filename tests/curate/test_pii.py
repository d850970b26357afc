"""What each recognizer takes and leaves.

Numbers with check digits are published examples (the card networks' test numbers, SWIFT's registry), so that the
arithmetic is not checked by itself.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from re._parser import parse
from types import ModuleType

import pytest

from loopwise.curate.pii import card, email, iban, ip, keys, phone, secret
from loopwise.curate.pii.card import issued, luhn
from loopwise.curate.pii.find import find
from loopwise.curate.pii.iban import valid
from loopwise.curate.pii.spans import Span, insert
from loopwise.curate.pii.view import view


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find(text)]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("EMAIL", "Write to bob.o'brien+x@mail.example.co.uk.", "bob.o'brien+x@mail.example.co.uk"),
        ("EMAIL", "bob@example.com.Then go", "bob@example.com"),
        ("EMAIL", "иван@почта.рф", "иван@почта.рф"),
        ("EMAIL", "see ?to=bob%40example.com&x=1", "bob%40example.com"),
        ("EMAIL", "bob (at) example (dot) org", "bob (at) example (dot) org"),
        ("EMAIL", "bob at example dot com", "bob at example dot com"),
        ("EMAIL", "b\u200bob@exa\u00admple.com!", "b\u200bob@exa\u00admple.com"),
        ("EMAIL", "bob@exаmple.com", "bob@exаmple.com"),  # noqa: RUF001 - the first a of the domain is Cyrillic
        ("PHONE", "+1 202-555-0143 2024", "+1 202-555-0143"),
        ("PHONE", "(202) 555-0143 ext. 12", "(202) 555-0143 ext. 12"),
        ("PHONE", "so 030 1234567, ok", "030 1234567"),
        ("PHONE", "le 06 12 34 56 78", "06 12 34 56 78"),
        ("PHONE", "phone: 2025550143", "2025550143"),
        ("PHONE", "+49 30\n1234567", "+49 30\n1234567"),
        ("PHONE", "２０２-５５５-０１４３", "２０２-５５５-０１４３"),  # noqa: RUF001
        ("CARD", "4111 1111 1111 1111 12/26", "4111 1111 1111 1111"),
        ("CARD", "3782-822463-10005", "3782-822463-10005"),
        ("CARD", "it is 41111111\n11111111", "41111111\n11111111"),
        ("IBAN", "GB82 WEST 1234 5698 7654 32 is it", "GB82 WEST 1234 5698 7654 32"),
        ("IBAN", "mt84malt011000012345mtlcast001s", "mt84malt011000012345mtlcast001s"),
        ("IP", "from 84.23.1.9:8080", "84.23.1.9"),
        ("IP", "http://8.8.8.8/x", "8.8.8.8"),
        ("IP", "84[.]23[.]1[.]9", "84[.]23[.]1[.]9"),
        ("IP", "[2001:db8::8a2e:370:7334]:443", "2001:db8::8a2e:370:7334"),
        ("KEY", "aws AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("KEY", "?a=1&token=Zx81kQw92Lm3Np4R&b=2", "Zx81kQw92Lm3Np4R"),
        ("KEY", "postgres://app:s3cr3t@db/main", "s3cr3t"),
        ("KEY", "Authorization: Bearer abcdef123456ghijkl", "abcdef123456ghijkl"),
        ("KEY", "my password is hunter2.", "hunter2"),
        ("KEY", 'secret_key: "dragon!69x"', "dragon!69x"),
        ("KEY", f"lw_0a1b2c3d_{'aB3-' * 10}", f"lw_0a1b2c3d_{'aB3-' * 10}"),
    ],
)
def test_one_thing_is_found_to_its_ends(kind: str, text: str, expected: str):
    assert found(text) == [(kind, expected)]


@pytest.mark.parametrize(
    "text",
    [
        "h = x@self.weight + q@k.mT; @app.route('/')", "git@github.com:org/repo.git", "look at example.com, dot by dot",
        "order 402-555-1234 of 2024-01-15", "ISBN 0-306-40615-2 and 978-0-306-40615-7", "1234567890 + 9876543210",
        "4111 1111 1111 1112", "1700000000000000", "550e8400-e29b-41d4-a716-446655440000",
        "GB82 WEST 1234 5698 7654 33", "version 10.0.19.41, torch==2.1.0.3, Chrome/120.0.6099.71", "1.2.3.4",
        "127.0.0.1",
        "x[::2] a::b std::dec 12:34:56", "04 08 99 33 06 fa 25 c1", "token = tokens[0]; password = getpass()",
        "password: str, api_key=None, secret = settings.SECRET_KEY2", 'password: "your-password"',
        "token: _ChatGPTToken",
        "class='sk-container-id-1 sk-text-repr-fallback'", "I call 1000000 times", "0.4111111111111111",
        "The secret is to start; passwords: 12 characters", "00:1b:44:11:3a:b7",
        'class="sk-estimator-doc-link-fitted"', 'password: "changeme123"', "PASSWORD=%DB_PASS1%", "password: ****1234",
        "(778709182061.134 + 18418936.2660553j)",
    ],
)  # fmt: skip
def test_what_only_looks_like_something_is_left(text: str):
    assert found(text) == []


def test_a_private_key_is_taken_whole_and_as_far_as_it_goes_when_cut_off():
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n"
    whole = f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----"

    assert found(f"a {whole} b") == [("KEY", whole)]
    assert found(f"-----BEGIN PRIVATE KEY-----\n{body}Then it ends.")[0][1].endswith("AoIBAQC7")


@pytest.mark.parametrize(
    ("number", "right"),
    [("4111111111111111", True), ("378282246310005", True), ("6011111111111117", True), ("4111111111111112", False)],
)
def test_luhn_agrees_with_published_numbers(number: str, right: bool):
    assert issued(number)
    assert luhn(number) is right


@pytest.mark.parametrize("number", ["DE89370400440532013000", "NO9386011117947", "FR1420041010050500013M02606"])
def test_ibans_of_the_registry_are_valid_and_no_neighbor_is(number: str):
    assert valid(number)
    for at in range(4, len(number)):
        if number[at].isdigit():
            assert not valid(number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1 :])


def test_two_spellings_of_one_thing_are_one_entity():
    texts = ["4111111111111111 or 4111-1111-1111-1111", "BOB@example.com bob (at) example (dot) com"]
    texts += [f"{ip_address('2001:db8:1:2::7').exploded} 2001:DB8:1:2::7"]

    for text in texts:
        assert [span.entity for span in find(text)] == [find(text)[0].entity] * 2


def test_of_two_that_overlap_the_first_to_be_found_stays():
    spans = [Span(5, 9, "KEY", "k")]

    for other in (Span(3, 6, "IP", "i"), Span(8, 12, "IP", "i"), Span(6, 7, "IP", "i"), Span(4, 10, "IP", "i")):
        insert(spans, other)
    insert(spans, Span(9, 11, "IP", "i"))
    insert(spans, Span(2, 5, "IP", "i"))

    assert [span[:2] for span in spans] == [(2, 5), (5, 9), (9, 11)]


def test_a_view_leads_back_to_the_text():
    text = "\u200ba\u00ad１b"  # noqa: RUF001

    plain, places = view(text)

    assert plain == "a1b"
    assert places == [1, 3, 4, 5]
    assert view("plain") == ("plain", None)


# Each begins many matches and finishes none, which is where a pattern would try everything again from every place.
HOSTILE = [
    "a", "@", "a@a.", "1", "1 ", "+1", "(1", "1.", "a:", "::", "gb82", "eyJ", "token=", "-----BEGIN PRIVATE KEY-----",
    "phone ", "0 ", "[at]", " at ", "sk-", "://a:", "4111 ", "a.", "%40", "01 ", "Bearer ", "1\n", '"', "\u200b",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_thing_at_the_end_of_a_long_hostile_text_is_found(piece: str):
    spans = find(piece * 5_000 + " ; bob@example.com")

    assert spans[-1].entity == "bob@example.com"


@pytest.mark.parametrize("module", [card, email, iban, ip, keys, phone, secret], ids=lambda module: module.__name__)
def test_no_pattern_looks_further_than_a_key_is_long(module: ModuleType):
    """So the work per character is bounded whatever the text holds. The exceptions are matched from one place only: the
    body of a PEM block to the next line of dashes, and what was cut out already."""
    patterns = {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}
    patterns |= dict(vars(module).get("_COMPILED", ()))
    widths = {name: parse(pattern.pattern, pattern.flags).getwidth()[1] for name, pattern in patterns.items()}

    assert {name for name, width in widths.items() if width > 15_000} <= {"_BODY", "_CUT_BODY", "_PATH", "_EXAMPLE"}
    assert widths
