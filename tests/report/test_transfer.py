import dataclasses
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from robust_saliency.report import transfer


def test_the_numbers_are_the_means_that_a_hand_computes(transfer_study):
  section = transfer.section(transfer_study, {})
  rows = section.tables[0].groups[0].rows
  # 0 and 2 of 4, 3 and 3, 4 and 3, 1 and 1.
  means = [[cell.split()[0] for cell in row.cells] for row in rows]
  assert means == [["25.0", "75.0"], ["87.5", "25.0"]]


def test_the_sheet_says_for_which_network_and_on_which(transfer_study):
  models = transfer_study.facts["models"]
  sheet = transfer.section(transfer_study, {}).sheets[0]
  assert sheet.header[3:5] == ["made_for", "tested_on"]
  assert ["fgsm", "linf", 0.2, models[1], models[0], 0, 1.0, 4] in sheet.rows
  assert len(sheet.rows) == 8


def test_cells_have_the_colours_of_their_numbers(transfer_study):
  picture = transfer.section(transfer_study, {}).pictures[0]
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  drawn = {colour for count, colour in image.getcolors(1 << 20) if count > 5000}
  for mean in (0.25, 0.75, 0.875):
    expected = colormaps[transfer.COLOUR_MAP](mean, bytes=True)[:3]
    assert min(np.abs(np.subtract(colour, expected)).max() for colour in drawn) <= 1


def test_there_is_a_heat_map_per_epsilon(transfer_study):
  study = dataclasses.replace(
    transfer_study,
    arrays={"correct": np.repeat(transfer_study.arrays["correct"], 3, axis=1)},
    facts={**transfer_study.facts, "epsilons": [0.1, 0.2, 0.3]},
  )
  section = transfer.section(study, {})
  assert [p.name for p in section.pictures] == ["fgsm 0.1", "fgsm 0.2", "fgsm 0.3"]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_number_of_networks_is_drawn(transfer_study, count):
  models = [f"network number {i} with a rather long name" for i in range(count)]
  study = dataclasses.replace(
    transfer_study,
    arrays={"correct": np.ones((1, 1, count, count, 3), bool)},
    facts={**transfer_study.facts, "models": models},
  )
  picture = transfer.section(study, {}).pictures[0]
  assert "Columns are numbered like the rows." in picture.caption
