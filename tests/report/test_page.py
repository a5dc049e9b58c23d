import base64
import dataclasses
import hashlib
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image

from robust_saliency import report

VOID = {"meta", "img", "br", "hr", "link", "input", "col"}


class Document(HTMLParser):
  """All elements of a page with their attributes; refuses tags that do not match."""

  def __init__(self, text):
    super().__init__()
    self.elements, self.open, self.text = [], [], ""
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attributes):
    self.elements.append((tag, dict(attributes)))

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text += data

  def all(self, *tags):
    return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture
def document(page):
  return Document(page.read_text(encoding="utf-8"))


def test_the_page_holds_one_script_of_ours_and_takes_nothing_from_a_network(page, document):
  assert not document.all("link", "iframe", "object", "base", "form")
  for tag, attributes in document.elements:
    assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    assert attributes.get("src", "data:").startswith("data:")
    assert "srcset" not in attributes
  text = page.read_text(encoding="utf-8")
  assert not re.search(r"https?:|url\(|@import", text)
  (policy,) = [m for m in document.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
  assert "default-src 'none'" in policy["content"]
  assert document.all("script") == [{}]
  (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  assert f"script-src 'sha256-{digest}'" in policy["content"]


def test_every_link_leads_somewhere(page, document):
  anchors = {attributes["id"] for _, attributes in document.elements if "id" in attributes}
  links = [attributes["href"] for attributes in document.all("a")]
  assert links
  for link in links:
    if link.startswith("#"):
      assert link[1:] in anchors
    else:
      assert (page.parent / link).is_file(), link


def test_every_identifier_is_used_once_and_every_reference_has_one(document):
  names = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
  assert len(names) == len(set(names))
  for _, attributes in document.elements:
    assert attributes.get("aria-labelledby", names[0]) in names


def test_every_image_can_be_decoded_and_says_what_it_shows(document):
  images = document.all("img")
  # Attacks, epsilons, panels, metrics; that of the first screen is not there twice.
  assert len(images) == 2 + 1 + 1 + 2
  assert len({image["src"] for image in images}) == len(images)
  for image in images:
    assert len(image["alt"]) > 40
    kind, content = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", image["src"]).groups()
    content = base64.b64decode(content)
    if kind == "svg+xml":
      assert ElementTree.fromstring(content).tag.endswith("}svg")
    else:
      Image.open(io.BytesIO(content)).verify()


def test_a_figure_of_the_first_screen_is_linked_from_its_section_with_its_files(document):
  links = [attributes["href"] for attributes in document.all("a")]
  first = links.index("#headline-figure")
  assert "headline-figure" in [attributes.get("id") for _, attributes in document.elements]
  assert [link.rsplit(".", 1)[-1] for link in links[first + 1 : first + 3]] == ["svg", "png"]


def test_every_table_is_named_and_its_headings_say_what_they_head(document):
  for heading in document.all("th"):
    assert heading["scope"] in ("col", "row", "rowgroup")
  tables = document.all("table")
  assert tables
  assert all(table.get("aria-labelledby") for table in tables)


def test_everything_that_users_name_is_escaped(page, document):
  text = page.read_text(encoding="utf-8")
  assert text.count("<script") == 1
  assert "<i>" not in text
  assert "PGD & <script>alert('x')</script> $\\frac$" in document.text
  assert "Digits <script>alert(1)</script>" in document.text
  assert '"note": "<b>"' in document.text


def test_sections_come_in_the_order_of_the_page(document):
  names = [s["id"] for s in document.all("section")]
  assert names == [
    "section-overview",
    "section-claims",
    "section-clean",
    "section-robust-ness",
    "section-transfer",
    "section-gradients",
    "section-training",
    "section-run",
  ]


def test_a_verdict_is_told_by_word_and_by_shape(page):
  text = page.read_text(encoding="utf-8")
  shapes = {}
  for verdict in ("supported", "refuted", "undecided"):
    (cell,) = re.findall(rf'<td role="cell" class="verdict {verdict}".*?</td>', text, re.DOTALL)
    assert f"<span>{verdict}</span>" in cell
    shapes[verdict] = re.search(r"<svg.*?>(.*?)</svg>", cell, re.DOTALL).group(1)
  assert len(set(shapes.values())) == 3


def test_verdicts_on_one_network_have_shapes_and_colours_of_their_own(tmp_path, arguments):
  words = {"holds": "holds in this run", "fails": "fails in this run"}
  claims = [
    dataclasses.replace(claim, verdict=verdict)
    for claim, verdict in zip(arguments["claims"], ["supported", *words.values()], strict=False)
  ]
  path = report.write(tmp_path / "report", **{**arguments, "claims": claims})
  text = path.read_text(encoding="utf-8")
  shapes = set()
  for mark, verdict in {"supported": "supported", **words}.items():
    (cell,) = re.findall(rf'<td role="cell" class="verdict {mark}".*?</td>', text, re.DOTALL)
    assert f"<span>{verdict}</span>" in cell
    assert f".verdict.{mark}" in text
    shapes.add(re.search(r"<svg.*?>(.*?)</svg>", cell, re.DOTALL).group(1))
  assert len(shapes) == 3


def test_the_end_tells_config_versions_devices_precision_and_times(document):
  for part in ("jax 0.10.2", "2 × cpu", "float32", "1 min 15 s", "2000-01-01", '"epsilon": 0.2'):
    assert part in document.text


def test_claims_lead_to_the_sections_that_they_rest_on_and_back(page, document):
  links = [attributes["href"] for attributes in document.all("a")]
  # In the strip of the first screen, where only the paper's on this data set stand, and below.
  for anchor in ("claim-c1-a", "claim-c1-b"):
    assert links.count(f"#{anchor}") == 2
  for anchor in ("claim-c2", "claim-accurate"):
    assert links.count(f"#{anchor}") == 1
  # In the contents, the first screen's table, and beside four claims.
  assert links.count("#section-clean") == 1 + 1 + 4


def test_the_first_screen_has_each_network_s_numbers_and_one_picture(document):
  start = document.text.index("At a glance", document.text.index("At a glance") + 1)
  screen = document.text[start : document.text.index("A claim is supported where")]
  for part in ("Clean accuracy, %", "Accuracy under FGSM at ε = 0.1, %", "87.5", "56.2"):
    assert part in screen
