import jax.numpy as jnp
import numpy as np

from gpu import measure
from gpu.measure import cost_of, error_of_products, launches
from robust_saliency.data import Dataset, Split
from robust_saliency.training import Network, Recipe
from robust_saliency.training.targets import empty_targets

LOOP = """
%body (p: (s32[], f32[4]{0})) -> (s32[], f32[4]{0}) {
  %p = (s32[], f32[4]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[4]{0} get-tuple-element(%p), index=1
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one)
  %y = f32[4]{0} fusion(%x), kind=kLoop, calls=%inside
  %z = (f32[4]{0}, u8[0]{0}) custom-call(%y), custom_call_target="__cudnn$convForward"
  ROOT %t = (s32[], f32[4]{0}) tuple(%next, %y)
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  ROOT %w = (s32[], f32[4]{0}) while(%x), condition=%test, body=%body
}
"""


def test_a_loop_launches_the_kernels_of_its_body_once():
  assert launches(LOOP) == 2


def test_the_error_of_products_on_cpu_is_that_of_float32():
  assert 0 < error_of_products() < 1e-5


def test_factors_of_ten_bits_as_tf32_has_them_would_show(monkeypatch):
  class Rounding:
    @staticmethod
    def asarray(x):
      return jnp.asarray((x.view(np.uint32) & 0xFFFFE000).view(np.float32))

  monkeypatch.setattr(measure, "jnp", Rounding)
  assert 1e-4 < error_of_products() < 1e-2


def linear(objective):
  """A network, and the data and maps that its step sees."""
  split = Split(np.zeros((32, 8, 8, 1), np.uint8), np.arange(32, dtype=np.int32) % 4)
  dataset = Dataset("zeros", split, split, split, tuple("abcd"), scale=1 / 255)
  recipe = Recipe.from_config(
    {
      "architecture": {"name": "mlp", "hidden": ()},
      "objective": objective,
      "optimizer": {"name": "sgd", "learning_rate": 0.1},
      "batch_size": 32,
      "steps": 10,
      "steps_per_call": 2,
    }
  )
  empty = empty_targets(recipe, dataset)
  return Network("linear", recipe, dataset), {"x": split.x, "y": split.y, **empty}, empty


def test_the_cost_of_a_linear_network_s_step_is_that_of_its_products():
  cost = cost_of(*linear({"cross_entropy": {}}))
  # x W, and x^T g for the gradient: 2 x 32 x 64 x 4 each, and what is done element by element.
  assert 1 <= cost["flops"] / (2 * 2 * 32 * 64 * 4) < 1.5
  assert cost["launches"] > 0
  assert cost["seconds"] > 0


def test_a_step_whose_terms_need_maps_is_measured_with_empty_ones():
  network, data, maps = linear({"cross_entropy": {}, "interpretation_direction": {}})
  assert [*maps] == ["maps"]
  assert cost_of(network, data, maps)["seconds"] > 0
