"""A questionnaire answered from its start to its end, as people do, and the votes read back."""

import base64
import dataclasses
import json

import pytest

from robust_saliency.report.questionnaire import render
from robust_saliency.studies import votes
from tests.report.browser import CHROMIUM, chromium
from tests.studies.votes.person import Person

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

SHOWN = """[...document.querySelectorAll("#choices img")].map((image) => image.src)"""
IMAGE = "document.querySelector('#image img').src"


@pytest.fixture
def tab():
  """A browser of its own, which keeps nothing of other tests' pages."""
  with chromium() as opened:
    yield opened


# A look at the page leaves one entry, and is no participant.
KEPT = """Object.entries(localStorage).filter(([name]) => name.startsWith("questionnaire "))"""


@pytest.fixture
def page(tmp_path):
  """Writes a questionnaire's page, and gives what its pictures' sources are of."""

  def write(asked):
    path = tmp_path / "questionnaire.html"
    path.write_text(render(asked), encoding="utf-8")
    # Two networks may give the same picture; those of one question do not.
    uri = "data:image/png;base64,"
    return path, {
      (one.group, uri + base64.b64encode(one.png).decode()): one for one in asked.pictures
    }

  return write


def tallied(asked, saved, folder):
  path = folder / "votes.json"
  path.write_text(json.dumps(saved))
  return votes.tally(asked, [votes.read_ballot(path, asked, {})])


def begin(tab, path, *, width=1280):
  touches = width < 600
  tab.send("Emulation.setTouchEmulationEnabled", enabled=touches)
  tab.open(path, width=width)
  person = Person(tab, touches=touches)
  assert person.sees("#begin")
  assert not person.sees("#question")
  assert tab.evaluate(KEPT) == []
  person.points_at("#begin")
  return person


def reload(tab):
  """Leaves the page half-way, and comes back."""
  ((_, state),) = tab.evaluate(KEPT)
  tab.reload()
  assert [kept for _, kept in tab.evaluate(KEPT)] == [state]


@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.slow)])
def test_a_forced_choice_by_clicks_taps_and_keys_with_a_reload_half_way(
  tab, page, forced, tmp_path, width
):
  path, behind = page(forced)
  person = begin(tab, path, width=width)
  order, taken = [], {}
  for number in range(10):
    assert person.reads("#count") == f"{number + 1} of 10"
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    label = person.reads("#ask").split("“")[1].split("”")[0]
    group = f"{label}, image {label}"
    shown = [behind[group, source].compared for source in tab.evaluate(SHOWN)]
    order.append(tuple(shown))
    # Robust for the small ones, calm for the others; the first at first otherwise.
    wanted = "robust" if int(label) < 4 else "calm"
    if number == 0:
      person.points_at("#choices button", shown.index("plain"))
      person.presses("Backspace")
      assert person.reads("#choices [aria-pressed=true]") == str(shown.index("plain") + 1)
    if number % 2:
      person.presses(str(shown.index(wanted) + 1))
    else:  # a double click answers no other question
      person.points_at("#choices button", shown.index(wanted), clicks=2)
    taken[group] = wanted
    if number == 4:
      reload(tab)
  person.waits_for("#save")
  saved = person.saves_in(tmp_path)
  assert json.loads(tab.evaluate("document.querySelector('#text').value")) == saved
  result = tallied(forced, saved, tmp_path)
  for name, count in (("plain", 0), ("robust", 4), ("calm", 6)):
    assert result.at("share", model=name).tolist() == [count / 10]
  for q, group in enumerate(result.layout.coordinates["question"]):
    assert result.arrays["chosen"][forced.compared.index(taken[group]), q, 0] == 1
  assert len(set(order)) > 1
  assert all(answer["seconds"] >= 0 for answer in saved["answers"])


def test_labels_by_clicks_and_keys_with_a_reload_half_way(tab, page, plausible, tmp_path):
  path, behind = page(plausible)
  of_image = {source: picture for (_, source), picture in behind.items()}
  person = begin(tab, path)
  for number in range(30):
    assert person.reads("#count") == f"{number + 1} of 30"
    assert person.sees("#next:disabled")
    picture = of_image[tab.evaluate(IMAGE)]
    if number % 3 == 0:  # the target, after a slip that is taken back
      person.points_at("#choices button", (picture.target + 1) % 10)
      person.points_at("#choices button", (picture.target + 1) % 10)
      person.points_at("#choices button", picture.target)
      person.points_at("#next")
    elif number % 3 == 1:  # the label first, the target second
      person.presses(str(picture.label))
      person.presses(str(picture.target))
      person.presses("Enter")
    else:
      person.presses("n")
      assert person.sees("#none[aria-pressed=true]")
      person.presses("Enter")
    if number == 14:
      reload(tab)
  person.waits_for("#save")
  saved = person.saves_in(tmp_path)
  assert len({answer["picture"] for answer in saved["answers"]}) == 30
  result = tallied(plausible, saved, tmp_path)
  counts = {
    name: round(10 * float(result.arrays[name].sum()))
    for name in ("fooled", "reasonable", "none_plausible")
  }
  assert counts == {"fooled": 10, "reasonable": 30, "none_plausible": 10}
  # Somebody else on the same telephone begins anew, as another participant.
  person.points_at("#anew")
  assert person.sees("#save")
  person.points_at("#anew")
  assert person.sees("#begin")
  ((_, text),) = tab.evaluate(KEPT)
  kept = json.loads(text)
  assert kept["answers"] == {}
  assert kept["participant"] != saved["participant"]


def test_the_page_names_no_method_and_asks_no_network(page, forced, plausible):
  for asked in (forced, plausible):
    path, _ = page(asked)
    content = path.read_text(encoding="utf-8")
    assert not any(f'"{name}"' in content for name in asked.compared)
    assert "http:" not in content
    assert "https:" not in content
    assert "default-src 'none'" in content


def test_strange_names_are_text_and_end_no_script(page, forced):
  strange = "</script><img src=x onerror=alert(1)>"
  classes = (strange, *forced.classes[1:])
  path, _ = page(votes.with_codes(dataclasses.replace(forced, classes=classes)))
  content = path.read_text(encoding="utf-8")
  assert content.count("</script>") == 2
  assert "<img src=x" not in content


def test_without_script_or_storage_it_says_so(tab, page, forced):
  path, _ = page(forced)
  tab.open(path, script=False)
  tab.send("Emulation.setScriptExecutionDisabled", value=False)
  assert Person(tab).sees("noscript p") or "switched off" in tab.evaluate("document.body.innerText")
  source = "Storage.prototype.setItem = () => { throw new DOMException('full'); };"
  added = tab.send("Page.addScriptToEvaluateOnNewDocument", source=source)
  tab.open(path)
  person = Person(tab)
  assert person.sees("#no-storage")
  person.points_at("#begin")
  assert person.sees("#question")
  tab.send("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
