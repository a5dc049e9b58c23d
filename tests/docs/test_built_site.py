"""The site as a browser shows it: search, telephones, the dark. `make docs` builds it before."""

import contextlib
import functools
import http.server
import re
import threading
import time
from pathlib import Path

import pytest

from docs.building.links import broken_links
from tests.report.browser import CHROMIUM, chromium

SITE = Path(__file__).resolve().parents[2] / "site"
PAGES = sorted(
  path.relative_to(SITE).as_posix()
  for pattern in ("*.html", "papers/*.html", "coming_from/*.html")
  for path in SITE.glob(pattern)
)
# One of each kind of page of the API.
OF_API = [
  f"api/{name}.html"
  for name in (
    "attacks",
    "attacks.pgd",
    "attributions.superpixels",
    "models.WideResNet",
    "objectives.Objective",
    "objectives.TERMS",
    "training.Recipe",
  )
]

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs builds the site"),
]
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def tab():
  with chromium() as tab:
    yield tab


@contextlib.contextmanager
def served():
  """The site under an address of this machine."""
  handler = functools.partial(_Quiet, directory=SITE)
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *_):
    pass


def test_no_link_is_broken():
  assert broken_links(SITE) == []


def test_formulas_are_set_by_the_browser_itself():
  page = (SITE / "papers" / "ross2018.html").read_text(encoding="utf-8")
  assert "<math" in page
  assert not re.search(r'src="[^"]*mathjax', page, re.IGNORECASE)


@in_a_browser
@pytest.mark.parametrize("page", [*PAGES, *OF_API])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_is_no_wider_than_a_telephone_and_its_words_stand_out(tab, page, dark):
  tab.open(SITE / page, width=390, dark=dark)
  assert tab.evaluate("document.documentElement.scrollWidth") <= 390
  # Every text's contrast with what lies behind it, by the rule of WCAG 2, for words of an article.
  faint = tab.evaluate(_FAINT)
  assert faint == []


_FAINT = """
(() => {
  const light = c => {
    const [r, g, b] = c.map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.5) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const e of document.querySelectorAll('article *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(e);
    if (!own || e.closest('.headerlink, .copybtn, svg, [hidden]') || style.display === 'none')
      continue;
    const [a, b] = [light(numbers(style.color).slice(0, 3)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const text = e.textContent.trim().slice(0, 20);
    if (contrast < 3.5) faint.add(`${e.className} ${text} ${contrast}`);
  }
  return [...faint].slice(0, 5);
})()
"""


_FOUND = "[...document.querySelectorAll('#search-results li a')].map(a => a.href)"


@in_a_browser
@pytest.mark.parametrize(
  ("words", "found"),
  [("smoothgrad", "attributions.smoothgrad"), ("projected gradient descent", "attacks.pgd")],
)
def test_the_search_finds_names_and_words(tab, words, found):
  with served() as address:
    tab.open(f"{address}/search.html?q={words.replace(' ', '+')}", width=390)
    links: list[str] = []
    for _ in range(100):
      links = tab.evaluate(
        "[...document.querySelectorAll('#search-results li a')].map(a => a.href)"
      )
      if any(found in link for link in links):
        break
      time.sleep(0.1)
    assert any(f"api/{found}.html" in link for link in links), links


@in_a_browser
def test_the_switch_makes_a_page_dark(tab):
  tab.open(SITE / "index.html")
  colour = "getComputedStyle(document.body).backgroundColor"
  before = tab.evaluate(colour)
  tab.evaluate("document.querySelector('.content-icon-container .theme-toggle').click()")
  assert tab.evaluate("document.body.dataset.theme") == "dark"
  assert tab.evaluate(colour) != before
