"""Distances to a manifold against what they are by hand, and what may be claimed of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.gates import why_not
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.manifold import measuring
from robust_saliency.studies.manifold.autoencoder import Autoencoder
from robust_saliency.studies.manifold.study import MEAN, PCA, SAMPLED
from tests.studies.manifold.small import SETTINGS


@pytest.fixture(scope="module")
def study():
  return read_study("s", SETTINGS)


def measured(study, networks, digits, directory):
  arrays, about = study.measure(networks, digits, jax.random.key(0), directory)
  return Result("s", study.kind, study.layout(tuple(networks), (0,), digits), arrays, about)


@pytest.fixture(scope="module")
def result(study, networks, digits, tmp_path_factory):
  return measured(study, networks, digits, tmp_path_factory.mktemp("m"))


def test_a_tangent_basis_spans_what_finite_differences_of_the_decoder_span(networks, digits):
  network = networks["g"][0]
  x = digits.to_float(digits.test.x[:3])
  bases = Autoencoder(network, batch_size=2).tangents(x)
  np.testing.assert_allclose(bases @ bases.swapaxes(1, 2), np.tile(np.eye(2), (3, 1, 1)), atol=1e-5)
  with jax.enable_x64(True):
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), network.variables)
    decode = jax.jit(lambda codes: network.module.apply(variables, codes, method="decode"))
    encode = jax.jit(lambda images: network.module.apply(variables, images, method="encode"))
    mean, _ = encode(x.astype(np.float64))

    def decoded(codes):
      return np.asarray(decode(codes)).reshape(3, -1)

    for direction in 1e-5 * np.eye(2):
      slope = (decoded(mean + direction) - decoded(mean - direction)) / 2e-5
      inside = np.einsum("nkd,nd->nk", bases, slope)
      np.testing.assert_allclose(
        np.linalg.norm(inside, axis=1), np.linalg.norm(slope, axis=1), rtol=1e-4
      )


def test_natural_distances_are_those_of_the_decoded_mean_code(result, networks, digits):
  x = digits.to_float(digits.test.x[:40])
  network = networks["g"][0]
  again = np.asarray(jax.jit(network.module.apply)(network.variables, x))
  expected = np.linalg.norm((x - again).reshape(40, -1), axis=1)
  np.testing.assert_allclose(result.at("natural", manifold=MEAN), expected, rtol=1e-4)


def test_ratios_and_gaps_are_of_images_that_fool_the_whole_panel(result):
  fooled = result.arrays["fooled"][:, 0]
  count = fooled[[0, 1, 2, 3, 4]].all(axis=0)  # s1 to s3, a1, a2
  assert 0 < count.sum() < 40
  natural = result.at("natural", manifold=PCA)[count].mean()
  of = {
    name: result.at("distance", manifold=PCA, model=name)[0, count].mean()
    for name in ("s1", "s2", "s3", "a2")
  }
  standard = np.mean([of["s1"], of["s2"], of["s3"]])
  gap = result.at("gap", manifold=PCA, network="a2")
  np.testing.assert_allclose(gap, [of["a2"] - of[name] for name in ("s1", "s2", "s3")])
  ratio = result.at("ratio", manifold=PCA, network="a2")
  np.testing.assert_allclose(ratio, (of["a2"] - natural) / (standard - natural))
  beyond = result.at("beyond", manifold=PCA, model="a2")[0]
  np.testing.assert_array_equal(np.isfinite(beyond), count)
  np.testing.assert_allclose(np.nanmean(beyond), of["a2"] - natural)
  a1, b1 = (result.at("ratio", manifold=PCA, network=name) for name in ("a1", "b1"))
  np.testing.assert_allclose(result.at("nearer", manifold=PCA, pair="a1, b1"), a1 - b1)


def test_a_vae_gan_that_does_not_know_the_images_judges_nothing_and_the_plane_does(result, study):
  for name in ("gap", "beyond", "nearer", "chance_apart", "chance_falling"):
    assert "does not know the images" in why_not(result, name, {"manifold": SAMPLED})
    assert why_not(result, name, {"manifold": PCA}) is None
    assert np.isfinite(result.at(name, manifold=SAMPLED)).any()
  assert np.isfinite(result.at("ratio", manifold=SAMPLED)).all()
  page = study.page(result, model_styles([*study.networks(())]))
  assert "Nothing is judged by" in page.reading
  of_each = [[row.cells[2] for row in group.rows[-3:]] for group in page.tables[0].groups]
  assert [all("not judged" in one for one in of) for of in of_each] == [True, True, False]


@pytest.mark.slow
def test_a_run_that_was_cut_off_measures_each_network_once(
  study, networks, digits, result, tmp_path
):
  asked = []
  with pytest.MonkeyPatch.context() as patch:
    whole = measuring.Measuring.of_network

    def until_the_third(self, name, network):
      asked.append(name)
      if len(asked) == 3:
        raise KeyboardInterrupt
      return whole(self, name, network)

    patch.setattr(measuring.Measuring, "of_network", until_the_third)
    with pytest.raises(KeyboardInterrupt):
      measured(study, networks, digits, tmp_path)
  (tmp_path / "s2.npz").write_bytes(b"damaged")
  attacked = []
  with pytest.MonkeyPatch.context() as patch:
    distances = measuring.Measuring._distances

    def counting(self, images, purpose):
      attacked.append(purpose)
      return distances(self, images, purpose)

    patch.setattr(measuring.Measuring, "_distances", counting)
    again = measured(study, networks, digits, tmp_path)
  # All but s1, whose file is whole.
  assert attacked.count("adversarial") == 6
  for name, array in result.arrays.items():
    np.testing.assert_array_equal(again.arrays[name], array)


def test_networks_whose_names_are_nearly_alike_are_kept_in_files_of_their_own(
  networks, digits, tmp_path, monkeypatch
):
  stems = []

  class Recorder:
    def __init__(self, *args, **settings):
      pass

    def of_network(self, name, network):
      del network
      stems.append(name)
      if len(stems) == 3:
        raise KeyboardInterrupt

  monkeypatch.setattr("robust_saliency.studies.manifold.study.Measuring", Recorder)
  named = {"g": networks["g"], "s/1": networks["s1"], "S 1": networks["s2"], "a1": networks["a1"]}
  fields = {"standards": ["s/1", "S 1"], "panels": {"p": ["a1"]}, "compared": {}}
  with pytest.raises(KeyboardInterrupt):
    read_study("s", {**SETTINGS, **fields}).measure(named, digits, jax.random.key(0), tmp_path)
  assert stems == ["s-1", "s-1-2", "a1"]


@pytest.mark.slow
def test_networks_that_diverged_leave_the_others_their_numbers(study, networks, result):
  distance = result.arrays["distance"].copy()
  distance[:, 3] = np.nan  # a1
  fooled = result.arrays["fooled"].astype(np.float64)
  struck = dataclasses.replace(
    result, arrays={**result.arrays, "distance": distance, "fooled": fooled}
  )
  after = study.after_divergence(struck, networks)
  assert np.isnan(after.at("gap", manifold=PCA, network="a1")).all()
  assert np.isnan(after.at("chance_falling", manifold=PCA))
  assert np.isnan(after.at("chance_apart", manifold=PCA))
  np.testing.assert_allclose(
    after.at("ratio", manifold=PCA, network="b1"), result.at("ratio", manifold=PCA, network="b1")
  )
  lost = {**networks, "g": [dataclasses.replace(networks["g"][0], diverged="NaN")]}
  after = study.after_divergence(result, lost)
  assert np.isnan(after.at("ratio", manifold=SAMPLED)).all()
  assert why_not(after, "gap", {"manifold": SAMPLED}) is None  # NaN is "not measured" of itself
  np.testing.assert_array_equal(after.at("gap", manifold=PCA), result.at("gap", manifold=PCA))
  study.page(after, model_styles([*study.networks(())]))


def test_a_section_has_the_distances_the_images_and_the_gradients(result, study):
  section = study.page(result, model_styles([*study.networks(())]))
  assert len(section.pictures) == 7
  assert len(section.sheets[0].rows) == 3 * 4
  assert [group.heading for group in section.tables[0].groups] == [SAMPLED, MEAN, PCA]


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"autoencoder": "s1"}, "autoencoder must be a model of the trainer 'vae_gan', got 's1'"),
    ({"standards": []}, "standards must have at least one entry"),
    ({"panels": {}}, "panels must have at least one entry"),
    ({"panels": {"l2": ["a1"], "linf": ["a1"]}}, "networks that differ"),
    ({"compared": {"l2": "l1"}}, "compared must be one of l2, linf"),
    ({"panels": {"l2": ["a1"], "linf": ["b1", "b2"]}}, "panels of one length"),
    ({"components": 65}, "components must be at most 64, got 65"),
    ({"examples": 10**6}, "examples must be between 1 and"),
    ({"attack": {"name": "fgsm", "epsilon": -1.0}}, "epsilon"),
  ],
)
def test_what_cannot_be_measured_is_refused(change, sentence, networks, digits):
  modules = {name: of[0].module for name, of in networks.items()}
  with pytest.raises(ValueError, match=sentence):
    read_study("s", {**SETTINGS, **change}).check(modules, digits)
