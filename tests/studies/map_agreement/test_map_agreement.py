"""Agreement of maps against the weights of linear networks, which are their gradients."""

import jax
import linear
import numpy as np
import pytest
import scipy.spatial

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study


def measured(networks, dataset, tmp_path, **settings):
  fields = {"references": ["second"], "attribution": {"name": "gradient"}, "examples": 20}
  one = read_study("s", {"kind": "map_agreement", **fields, **settings})
  names = one.networks(networks)
  arrays, about = one.measure(networks, dataset, jax.random.key(0), tmp_path)
  return one, Result("s", one.kind, one.layout(names, (0, 1), dataset), arrays, about)


def test_cosines_and_norms_of_linear_networks_are_those_of_their_weights(
  networks, dataset, tmp_path
):
  _, result = measured(networks, dataset, tmp_path)
  y = dataset.test.y[:20]
  for s, seed in enumerate((0, 2)):  # of "first"; both of "second" are 1
    own, reference = (linear.weights(one)[:, y].T for one in (seed, 1))
    expected = [
      1 - scipy.spatial.distance.cosine(a, b) for a, b in zip(own, reference, strict=True)
    ]
    for split in ("train", "test"):
      found = result.at("cosine", split=split, reference="second", model="first")[s]
      np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
      norms = result.at("gradient_norm", split=split, model="first")[s]
      np.testing.assert_allclose(norms, np.linalg.norm(own, axis=1), rtol=1e-5)
  np.testing.assert_allclose(result.at("cosine", reference="second", model="second"), 1, rtol=1e-5)


def test_a_map_of_zeros_has_no_cosine_and_the_section_passes_over_it(networks, dataset, tmp_path):
  one, result = measured(networks, dataset, tmp_path)
  result.arrays["cosine"][:, :, 0] = np.nan
  section = one.page(result, model_styles(networks))
  first, second = section.tables[0].groups[0].rows
  assert first.cells[:2] == ["n/a", "n/a"]
  assert second.cells[:2] == ["1.000", "1.000"]
  assert len(section.sheets[0].rows) == 2 * 2 * 2 * 20


def test_too_many_images_are_refused(dataset):
  settings = {"kind": "map_agreement", "references": ["a"], "attribution": {"name": "gradient"}}
  settings |= {"examples": 38}
  with pytest.raises(ValueError, match="examples must be between 1 and 37, got 38"):
    read_study("s", settings).check({"a": linear.network(0).module}, dataset)
