import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies.selection import Selection, page

STYLES = model_styles(["GR", "more"])


FAMILIES = {"GR": {"GR 1": 1.0, "GR 10": 10.0}, "more": {"<b>other</b>": 0.0}}


@pytest.fixture
def result():
  study = Selection(
    families=FAMILIES, reference="plain", source="source", attack={"name": "fgsm"}, epsilon=0.2
  )
  counts = np.array([[10], [9], [6], [9]]), np.array([[2], [5], [8], [4]])
  clean, attacked = (np.arange(10) < count[..., None] for count in counts)
  return Result(
    "lambda",
    "selection",
    study.layout((), (7,), dataset=None),
    {"clean": clean, "attacked": attacked, "best": attacked[1:, :, ::2]},
    {
      "families": FAMILIES,
      "chosen": {"GR": "GR 1", "more": "<b>other</b>"},
      "eligible": ["GR 1", "<b>other</b>"],
      "reference": "plain",
      "source": "source",
      "attack": {"name": "selection", "label": "FGSM", "norm": "linf"},
      "epsilon": 0.2,
      "keep": 0.9,
    },
  )


def test_the_table_says_which_network_is_chosen_and_which_lost_too_much(result):
  table = page.section(result, STYLES).tables[0]
  gr, other, plain = table.groups
  assert [row.heading for row in gr.rows] == ["λ = 1", "λ = 10"]
  assert gr.rows[0].cells[0] == "GR 1"
  assert gr.rows[0].cells[1].startswith("90.0 (")
  assert gr.rows[0].cells[2].startswith("50.0 (")
  assert [row.cells[3] for row in gr.rows] == ["chosen", "below 90.0 % of plain"]
  assert other.rows[0].cells[3] == "chosen"
  assert plain.rows[0].cells[0] == "plain"


def test_the_reader_is_told_where_no_network_of_a_family_stays_accurate_and_only_there(result):
  assert "the most accurate is chosen" not in page.section(result, STYLES).reading
  result.metadata["eligible"] = ["GR 1"]
  section = page.section(result, STYLES)
  assert "No network of more keeps that much: there the most accurate is chosen." in section.reading
  gr, other, _ = section.tables[0].groups
  assert gr.rows[0].cells[3] == "chosen"
  assert other.rows[0].cells[3] == "chosen, although below 90.0 % of plain"
  verdicts = {row[1]: row[-1] for row in section.sheets[0].rows}
  assert verdicts["<b>other</b>"] == "chosen, although below 90.0 % of plain"


def test_a_tie_is_shown_and_the_rule_that_broke_it_is_told(result):
  assert "standard error" not in page.section(result, STYLES).reading
  result.metadata.update(eligible=["GR 1", "GR 10"], standard_errors=1.0)
  result.metadata["tied"] = {"GR": ["GR 1", "GR 10"], "more": ["<b>other</b>"]}
  section = page.section(result, STYLES)
  assert "within one standard error of the most accurate count as equal" in section.reading
  assert [row.cells[3] for row in section.tables[0].groups[0].rows] == [
    "chosen",
    "as good as the best",
  ]


def test_the_legend_has_no_dashes_since_they_mean_clean(result, monkeypatch):
  legends = []

  def curve_figure(styles, paint):
    legends.append(styles)
    return (4.0, 3.0), b"", b""

  monkeypatch.setattr(page.canvas, "curve_figure", curve_figure)
  page.section(result, STYLES)
  assert [style.dash for style in legends[0].values()] == ["solid", "solid"]
  assert legends[0]["more"].colour == STYLES["more"].colour


def test_the_sheet_has_every_network_and_the_picture_names_the_chosen(result):
  section = page.section(result, STYLES)
  assert ["GR", "GR 10", 10.0, 7, 0.6, 0.8, "below 90.0 % of plain"] in section.sheets[0].rows
  assert ["", "plain", "", 7, 1.0, 0.2, ""] in section.sheets[0].rows
  assert "GR 1 with 50.0 % under FGSM at ε = 0.2 and 90.0 % clean" in section.pictures[0].alt


def test_a_network_that_diverged_is_shown_without_numbers(result):
  for name in ("clean", "attacked"):
    values = result.arrays[name].astype(np.float64)
    values[2] = np.nan
    result.arrays[name] = values
  table = page.section(result, STYLES).tables[0]
  assert table.groups[0].rows[1].cells[1:3] == ["n/a (n/a)", "n/a (n/a)"]
  assert table.groups[0].rows[0].cells[1].startswith("90.0 (")
