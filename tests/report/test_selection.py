import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.report import selection
from robust_saliency.studies.result import StudyResult

STYLES = model_styles(["GR", "more"])


@pytest.fixture
def study():
  counts = np.array([[10], [9], [6], [9]]), np.array([[2], [5], [8], [4]])
  clean, attacked = (np.arange(10) < count[..., None] for count in counts)
  return StudyResult(
    "lambda",
    "selection",
    {"clean": clean, "attacked": attacked},
    {
      "models": ["plain", "GR 1", "GR 10", "<b>other</b>"],
      "families": {"GR": {"GR 1": 1.0, "GR 10": 10.0}, "more": {"<b>other</b>": 0.0}},
      "chosen": {"GR": "GR 1", "more": "<b>other</b>"},
      "eligible": ["GR 1", "<b>other</b>"],
      "reference": "plain",
      "source": "source",
      "attack": {"name": "selection", "label": "FGSM", "norm": "linf"},
      "epsilon": 0.2,
      "keep": 0.9,
    },
  )


def test_the_table_says_which_network_is_chosen_and_which_lost_too_much(study):
  table = selection.section(study, STYLES).tables[0]
  gr, other, plain = table.groups
  assert [row.heading for row in gr.rows] == ["λ = 1", "λ = 10"]
  assert gr.rows[0].cells[0] == "GR 1"
  assert gr.rows[0].cells[1].startswith("90.0 (")
  assert gr.rows[0].cells[2].startswith("50.0 (")
  assert [row.cells[3] for row in gr.rows] == ["chosen", "below 90.0 % of plain"]
  assert other.rows[0].cells[3] == "chosen"
  assert plain.rows[0].cells[0] == "plain"


def test_the_reader_is_told_where_no_network_of_a_family_stays_accurate_and_only_there(study):
  assert "the most accurate is chosen" not in selection.section(study, STYLES).reading
  study.facts["eligible"] = ["GR 1"]
  section = selection.section(study, STYLES)
  assert "No network of more keeps that much: there the most accurate is chosen." in section.reading
  gr, other, _ = section.tables[0].groups
  assert gr.rows[0].cells[3] == "chosen"
  assert other.rows[0].cells[3] == "chosen, although below 90.0 % of plain"
  verdicts = {row[1]: row[-1] for row in section.sheets[0].rows}
  assert verdicts["<b>other</b>"] == "chosen, although below 90.0 % of plain"


def test_the_legend_has_no_dashes_since_they_mean_clean(study, monkeypatch):
  legends = []

  def curve_figure(styles, paint):
    legends.append(styles)
    return (4.0, 3.0), b"", b""

  monkeypatch.setattr(selection.canvas, "curve_figure", curve_figure)
  selection.section(study, STYLES)
  assert [style.dash for style in legends[0].values()] == ["solid", "solid"]
  assert legends[0]["more"].colour == STYLES["more"].colour


def test_the_sheet_has_every_network_and_the_picture_names_the_chosen(study):
  section = selection.section(study, STYLES)
  assert ["GR", "GR 10", 10.0, 0, 0.6, 0.8, "below 90.0 % of plain"] in section.sheets[0].rows
  assert ["", "plain", "", 0, 1.0, 0.2, ""] in section.sheets[0].rows
  assert "GR 1 with 50.0 % under FGSM at ε = 0.2 and 90.0 % clean" in section.pictures[0].alt
