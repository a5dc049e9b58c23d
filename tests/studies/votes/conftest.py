"""A questionnaire of each design."""

import pytest

from robust_saliency.studies import votes
from robust_saliency.studies.votes.pictures import maps_of, pictures_to_compare, pictures_to_label
from tests.studies.votes import run_folder


@pytest.fixture(scope="session")
def forced():
  """Two networks, a map of each of ten digits."""
  maps = maps_of(run_folder.saliency(models=("plain", "robust", "calm")))
  pictures, shown = pictures_to_compare(maps)
  return votes.with_codes(
    votes.Questionnaire(
      name="forced_choice", design="forced_choice", source="maps", axis="model",
      compared=maps.names, classes=maps.classes, seed=5, pictures=tuple(pictures), shown=shown,
    )
  )  # fmt: skip


@pytest.fixture(scope="session")
def plausible():
  """Three networks, an image of each of ten digits led to every other."""
  names, pictures, _ = pictures_to_label(run_folder.targeted())
  return votes.with_codes(
    votes.Questionnaire(
      name="plausible_label", design="plausible_label", source="images", axis="model",
      compared=names, classes=run_folder.CLASSES, seed=5, pictures=tuple(pictures),
    )
  )  # fmt: skip
