import jax
import jax.numpy as jnp
import numpy as np

from gpu import measure
from gpu.measure import error_of_products, launches

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


def test_a_loop_launches_what_its_body_computes():
  assert launches(LOOP) == 3


def test_a_compiled_product_is_one_operation_or_two():
  compiled = jax.jit(lambda x: x @ x).lower(jnp.ones((8, 8))).compile()
  assert 1 <= launches(compiled.as_text()) <= 2


def test_the_error_of_products_on_cpu_is_that_of_float32():
  assert 0 < error_of_products() < 1e-5


def test_factors_of_ten_bits_as_tf32_has_them_would_show(monkeypatch):
  class Rounding:
    @staticmethod
    def asarray(x):
      return jnp.asarray((x.view(np.uint32) & 0xFFFFE000).view(np.float32))

  monkeypatch.setattr(measure, "jnp", Rounding)
  assert 1e-4 < error_of_products() < 1e-2
