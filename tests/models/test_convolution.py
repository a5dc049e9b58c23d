import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from robust_saliency.models import loop_safe_conv

NHWC = ("NHWC", "HWIO", "NHWC")

# (batch, height, width, channels in, channels out, kernel)
SHAPES = [
  (1, 5, 5, 1, 2, (1, 1)),
  (3, 6, 5, 2, 3, (3, 3)),
  (8, 4, 7, 3, 1, (5, 3)),
  (9, 7, 6, 1, 4, (5, 5)),
  (17, 3, 3, 2, 2, (3, 5)),
]


def example(shape, dtype=jnp.float32):
  batch, height, width, channels_in, channels_out, kernel = shape
  x_key, w_key, c_key = jax.random.split(jax.random.key(0), 3)
  return (
    jax.random.normal(x_key, (batch, height, width, channels_in), dtype),
    jax.random.normal(w_key, (*kernel, channels_in, channels_out), dtype),
    jax.random.normal(c_key, (batch, height, width, channels_out), dtype),
  )


def loss_of(convolution, c):
  def loss(x, w):
    y = convolution(x, w, (1, 1), "SAME", dimension_numbers=NHWC)
    return jnp.sum(c * jnp.sin(y))

  return loss


def squared_gradients(loss):
  """A second loss, made of the first one's gradients: its gradients are second derivatives."""

  def squared(x, w):
    in_x, in_w = jax.grad(loss, (0, 1))(x, w)
    return jnp.sum(in_x**2) + jnp.sum(jnp.cos(in_w))

  return squared


def assert_close(actual, expected, rtol=1e-10):
  for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, e, rtol=rtol, atol=rtol * float(jnp.abs(e).max()))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("shape", "orders"), [(shape, 2) for shape in SHAPES[:-1]] + [(SHAPES[-1], 3)], ids=str
)
def test_value_and_derivatives_of_every_order_equal_the_stock_ones_in_float64(shape, orders):
  with jax.enable_x64(True):
    x, w, c = example(shape, jnp.float64)
    ours, stock = loss_of(loop_safe_conv, c), loss_of(lax.conv_general_dilated, c)
    for _ in range(orders):
      assert_close(
        jax.jit(jax.value_and_grad(ours, (0, 1)))(x, w),
        jax.jit(jax.value_and_grad(stock, (0, 1)))(x, w),
      )
      ours, stock = squared_gradients(ours), squared_gradients(stock)


@pytest.mark.parametrize(
  ("kernel", "settings"),
  [
    ((2, 2), {}),
    ((4, 3), {}),
    ((3, 3), {"padding": "VALID"}),
    ((3, 3), {"padding": [(0, 2), (1, 1)]}),
    ((3, 3), {"window_strides": (2, 2)}),
    ((3, 3), {"lhs_dilation": (2, 1), "padding": [(1, 1), (1, 1)]}),
    ((3, 3), {"rhs_dilation": (1, 2)}),
    ((3, 3), {"dimension_numbers": ("NHCW", "HWIO", "NHWC")}),
    ((3, 3), {"feature_group_count": 2}),
    ((3, 3), {"batch_group_count": 2}),
    ((3, 3), {"preferred_element_type": jnp.float64}),
  ],
  ids=str,
)
def test_any_other_convolution_is_the_stock_one_and_keeps_forward_mode(kernel, settings):
  with jax.enable_x64(True):
    groups = settings.get("feature_group_count", 1)
    x = jax.random.normal(jax.random.key(0), (4, 6, 6, 6), jnp.float32)
    w = jax.random.normal(jax.random.key(1), (*kernel, 6 // groups, 4), jnp.float32)
    settings = {
      "window_strides": (1, 1),
      "padding": "SAME",
      "dimension_numbers": NHWC,
      **settings,
    }
    ours, stock = (
      jax.make_jaxpr(lambda x, w, f=f: jax.jvp(lambda x: f(x, w, **settings), (x,), (x,)))(x, w)
      for f in (loop_safe_conv, lax.conv_general_dilated)
    )
    assert str(ours) == str(stock)


def test_an_empty_batch_has_gradients():
  w = jnp.ones((3, 3, 2, 4))
  gradient = jax.grad(loss_of(loop_safe_conv, jnp.zeros((0, 5, 5, 4))), 1)(
    jnp.zeros((0, 5, 5, 2)), w
  )
  np.testing.assert_array_equal(gradient, jnp.zeros_like(w))


def test_explicit_padding_of_half_a_kernel_counts_as_same():
  x, w, _ = example(SHAPES[2])
  explicit = loop_safe_conv(x, w, (1, 1), [(2, 2), (1, 1)], dimension_numbers=NHWC)
  np.testing.assert_array_equal(
    explicit, loop_safe_conv(x, w, (1, 1), "SAME", dimension_numbers=NHWC)
  )
  with pytest.raises(TypeError, match="forward-mode"):
    jax.jvp(
      lambda x: loop_safe_conv(x, w, (1, 1), [(2, 2), (1, 1)], dimension_numbers=NHWC), (x,), (x,)
    )


def test_flax_layers_take_it():
  x = jax.random.normal(jax.random.key(0), (3, 6, 6, 2))
  layer = nn.Conv(4, (3, 3), conv_general_dilated=loop_safe_conv)
  variables = layer.init(jax.random.key(1), x)
  assert_close(layer.apply(variables, x), nn.Conv(4, (3, 3)).apply(variables, x), 1e-6)


def test_derivatives_are_the_same_under_vmap_over_kernels():
  x, w, c = example(SHAPES[1])
  many = jnp.stack([w, -2 * w, w**2])
  gradients = jax.grad(squared_gradients(loss_of(loop_safe_conv, c)), (0, 1))
  mapped = jax.jit(jax.vmap(gradients, in_axes=(None, 0)))(x, many)
  single = [jax.jit(gradients)(x, one) for one in many]
  assert_close(mapped, jax.tree.map(lambda *leaves: jnp.stack(leaves), *single), 1e-4)


@pytest.mark.parametrize("loop", ["fori_loop", "scan"])
def test_derivatives_are_the_same_inside_loops(loop):
  with jax.enable_x64(True):
    x, w, c = example(SHAPES[3], jnp.float64)

    def descend(convolution):
      def step(x, w):
        in_x, in_w = jax.grad(squared_gradients(loss_of(convolution, c)), (0, 1))(x, w)
        return x - 1e-6 * in_x, w - 1e-6 * in_w

      if loop == "fori_loop":
        return jax.jit(lambda *xw: lax.fori_loop(0, 3, lambda _, xw: step(*xw), xw))(x, w)
      return jax.jit(lambda *xw: lax.scan(lambda xw, _: (step(*xw), None), xw, None, length=3)[0])(
        x, w
      )

    assert_close(descend(loop_safe_conv), descend(lax.conv_general_dilated))


def test_derivatives_are_the_same_on_eight_devices():
  x, w, c = example((16, 5, 5, 2, 3, (3, 3)))

  def gradients(x, c):
    loss = squared_gradients(loss_of(loop_safe_conv, c))
    step = jax.grad(loss, (0, 1))
    return lax.fori_loop(0, 2, lambda _, xw: step(*xw), (x, w))

  def split(a):
    return a.reshape(8, 2, *a.shape[1:])

  mapped = jax.pmap(gradients)(split(x), split(c))
  one_by_one = jax.lax.map(lambda xc: gradients(*xc), (split(x), split(c)))
  assert_close(mapped, one_by_one, 1e-4)


def test_on_cpu_a_loop_compiles_to_forward_convolutions_only():
  x, w, c = example((32, 14, 14, 16, 24, (5, 5)))

  def kinds(convolution):
    step = jax.grad(squared_gradients(loss_of(convolution, c)), (0, 1))
    loop = jax.jit(lambda *xw: lax.fori_loop(0, 3, lambda _, xw: step(*xw), xw))
    return set(re.findall(r"dim_labels=(\S+?),", loop.lower(x, w).compile().as_text()))

  assert kinds(loop_safe_conv) == {"b01f_01io->b01f"}
  assert len(kinds(lax.conv_general_dilated)) > 1


def test_other_platforms_get_the_stock_gradients():
  x, w, c = example((32, 8, 8, 3, 4, (3, 3)))
  step = jax.jit(jax.grad(loss_of(loop_safe_conv, c), (0, 1)))

  def chunks_are_looped_over(platform):
    return "stablehlo.while" in jax.export.export(step, platforms=[platform])(x, w).mlir_module()

  assert [p for p in ("cpu", "cuda", "tpu") if chunks_are_looped_over(p)] == ["cpu"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_kernel_s_gradient_in_half_precision_grows_with_the_batch(dtype):
  convolution = nn.Conv(1, (1, 1), use_bias=False, dtype=dtype, conv_general_dilated=loop_safe_conv)
  x, ones = jnp.ones((4096, 1, 1, 1), dtype), {"params": {"kernel": jnp.ones((1, 1, 1, 1), dtype)}}
  gradient = jax.grad(lambda of: convolution.apply(of, x).astype(jnp.float32).sum())(ones)
  assert gradient["params"]["kernel"].item() == 4096
