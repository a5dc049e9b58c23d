"""The page in a browser: what its script does, and that nothing is missing without it."""

import pytest

from tests.report.browser import CHROMIUM, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

SHOWN = """[...document.querySelectorAll(".claims tr[data-verdict]")]
  .filter((row) => row.offsetParent !== null).map((row) => row.id)"""
# The first column of the table on the first screen.
NETWORKS = """[...document.querySelectorAll("#section-overview tbody th")]
  .map((cell) => cell.textContent.trim().slice(0, 3))"""


@pytest.fixture(scope="module")
def tab():
  with chromium() as opened:
    yield opened


def test_the_filter_shows_one_verdict_and_a_link_to_another_shows_all_again(tab, page):
  tab.open(page)
  everything = tab.evaluate(SHOWN)
  assert len(everything) == 4
  tab.evaluate("document.querySelector('.filter [data-verdict=refuted]').click()")
  assert tab.evaluate(SHOWN) == ["claim-c1-b"]
  tab.evaluate("document.querySelector('.strip a[href=\"#claim-c1-a\"]').click()")
  tab.evaluate("new Promise((done) => setTimeout(done, 50))")
  assert tab.evaluate(SHOWN) == everything
  assert tab.evaluate("document.querySelector(':target').id") == "claim-c1-a"


def test_a_click_sorts_a_table_and_another_turns_it_round(tab, page):
  tab.open(page)
  sort = "document.querySelectorAll('#section-overview th .sort')[{}].click()"
  assert tab.evaluate(NETWORKS) == ["sta", "PGD"]
  tab.evaluate(sort.format(2))  # FGSM: the second network keeps more
  assert tab.evaluate(NETWORKS) == ["PGD", "sta"]
  tab.evaluate(sort.format(2))
  assert tab.evaluate(NETWORKS) == ["sta", "PGD"]


def test_a_figure_is_enlarged_by_a_click_and_put_back_by_another(tab, page):
  tab.open(page)
  tab.evaluate("document.querySelector('figure img').click()")
  assert tab.evaluate("document.querySelector('dialog').open")
  assert tab.evaluate("document.querySelector('dialog img').naturalWidth") > 0
  tab.evaluate("document.querySelector('dialog').click()")
  assert not tab.evaluate("document.querySelector('dialog').open")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_every_link_on_the_page_leads_somewhere_and_nothing_is_wider_than_it(
  tab, page, width, script
):
  tab.open(page, width=width, script=script)
  tab.send("Emulation.setScriptExecutionDisabled", value=False)
  assert tab.evaluate("document.documentElement.scrollWidth") <= width
  lost = """[...document.querySelectorAll('a[href^="#"]')]
    .filter((link) => !document.getElementById(link.getAttribute("href").slice(1))).length"""
  assert tab.evaluate(lost) == 0
  assert len(tab.evaluate(SHOWN)) == 4
  assert tab.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
  assert tab.evaluate("document.querySelectorAll('.sort').length > 0") == script
