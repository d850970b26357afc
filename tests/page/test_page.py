"""The page over real HTTP, read as a browser would parse it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from loopwise.page.chart import LEAST_WIDTH, drawn
from loopwise.page.view import Point, read_view
from loopwise.stats.intervals import wilson
from loopwise.store import scores
from loopwise.types import SuiteScores


class Elements(HTMLParser):
    """All start tags with their attributes, all text, and the texts of table rows."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def scored(right: int) -> str:
    """The cell of a release with ``right`` of 100 right."""
    return f"{right}.0\xa0%{wilson(right, 100).low * 100:.1f}\N{EN DASH}{wilson(right, 100).high * 100:.1f}"


def test_releases_stand_newest_first_with_state_score_and_exchanges(site: Any):
    rows = Elements(httpx.get(site.url).text).rows
    by_name = {row[0]: row for row in rows[2:]}
    assert by_name["tiny@2"][1:5] == ["champion", scored(80), "3", "15 Nov, 00:13"]
    assert by_name["tiny@1"][1:4] == ["rejected", scored(38), "0"]
    assert [row[0] for row in rows[1:]][1:] == ["tiny@2", "tiny@1", "tiny@0"]


def test_the_chart_has_a_point_and_a_bar_for_each_score_and_marks_the_champion(site: Any):
    html = httpx.get(site.url).text
    svg = html[html.index("<svg") : html.index("</svg>") + 6].replace("&nbsp;", " ")
    root = ElementTree.fromstring(svg)
    marks = [group for group in root.iter("g") if "mark" in str(group.get("class"))]
    assert len(marks) == 3
    assert [str(mark.get("class")) for mark in marks] == ["mark", "mark", "mark champion"]
    assert "champion" in [text.text for text in marks[2].iter("text")]
    heights = [float(str(circle.get("cy"))) for circle in root.iter("circle")]
    assert heights[2] < heights[0] < heights[1]
    for mark, height in zip(marks, heights, strict=True):
        bar = next(mark.iter("line"))
        assert float(str(bar.get("y2"))) < height < float(str(bar.get("y1")))


def test_what_people_and_models_wrote_is_never_markup(site: Any):
    html = httpx.get(site.url).text
    assert "<script>document" not in html
    assert "x&lt;script&gt;document" in html
    scripts = [attributes for tag, attributes in Elements(html).tags if tag == "script"]
    assert [attributes["src"] for attributes in scripts] == ["/static/page.js"]


def test_nothing_is_fetched_from_elsewhere_and_everything_named_is_there(site: Any):
    answer = httpx.get(site.url)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    named = [a.get("src") or a.get("href") for tag, a in Elements(answer.text).tags if tag in ("script", "link", "img")]
    assert sorted(map(str, named)) == ["/static/icon.svg", "/static/page.css", "/static/page.js"]
    for path in named:
        assert httpx.get(f"{site.url}{path}").status_code == 200
    assert "innerHTML" not in httpx.get(f"{site.url}/static/page.js").text


def test_every_field_has_a_label_and_answers_are_announced(site: Any):
    found = Elements(httpx.get(site.url).text)
    labels = {a.get("for") for tag, a in found.tags if tag == "label"}
    assert "question" in labels
    assert any(a.get("aria-live") == "polite" and a.get("role") == "log" for _, a in found.tags)
    assert ("html", {"lang": "en"}) in found.tags


def test_counts_are_those_of_the_store(site: Any):
    view = read_view(site.store)
    assert (view.exchanges, view.feedback, view.champion) == (5, {"thumbs": 2, "follow_up": 1}, "tiny@2")


def test_scores_on_an_older_version_of_the_suite_are_not_compared(site: Any):
    with site.store.writing() as conn:
        scores.add(conn, site.store.blobs, SuiteScores("final", "v2", "tiny@2", "sha256:f2", (1.0, 0.0)))
    assert [(point.release, point.n) for point in read_view(site.store).points] == [("tiny@2", 2)]


def test_an_empty_project_says_what_to_do_first(empty: Any):
    text = Elements(httpx.get(empty.url).text).text
    for command in ("loopwise promote RELEASE", "loopwise turn", "loopwise init"):
        assert command in text


def test_scores_that_cannot_be_read_leave_the_rest_of_the_page(site: Any):
    for blob in site.store.blobs.root.glob("*/*"):
        blob.write_bytes(b"altered")
    answer = httpx.get(site.url)
    assert answer.status_code == 200
    assert "was altered on disk: restore it from a backup." in answer.text
    assert "tiny@2" in answer.text


def test_marks_lie_where_the_scores_say():
    chart = drawn([Point("a" * 20, 0.0, 0.0, 0.5, 9, False), Point("b", 1.0, 0.75, 1.0, 9, True)])
    assert chart.width == LEAST_WIDTH
    first, second = chart.marks
    assert (first.y, first.y_high, second.y, second.y_low) == (220.0, 124.0, 28.0, 76.0)
    assert (first.x, second.x) == (46 + 64, 46 + 192)
    assert first.label == "aaaaaaaaaa…"
    assert drawn([Point("b", 1.0, 0.75, 1.0, 9, True)] * 10).width == 46 + 18 + 720


@pytest.mark.parametrize("path", ["/static/../routes.py", "/static/%2e%2e/routes.py", "/static/nothing.js"])
def test_static_files_end_at_their_folder(site: Any, path: str):
    assert httpx.get(site.url + path).status_code == 404
