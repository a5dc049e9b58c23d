import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from robust_saliency.core import checks

NAN = float("nan")
IMAGES = jnp.full((2, 2, 2, 1), 0.5)

# (call, error, sentence): every refusal, with the words that a person reads.
REFUSALS = [
  (lambda: checks.non_negative(epsilon=-0.1), ValueError, "epsilon must be >= 0, got -0.1"),
  (lambda: checks.non_negative(epsilon=NAN), ValueError, "epsilon must be >= 0, got nan"),
  (lambda: checks.non_negative(epsilon=float("inf")), ValueError, "epsilon must be >= 0, got inf"),
  (lambda: checks.non_negative(epsilon=None), ValueError, "epsilon must be >= 0, got None"),
  (
    lambda: checks.non_negative(epsilons=np.array([0.1, -0.5])),
    ValueError,
    "epsilons must be >= 0, got -0.5",
  ),
  (
    lambda: checks.non_negative(epsilon="0,1"),
    TypeError,
    "epsilon must be a number >= 0, got '0,1'",
  ),
  (lambda: checks.positive(temperature=0), ValueError, "temperature must be > 0, got 0"),
  (lambda: checks.fraction(share=1.5), ValueError, "share must be between 0 and 1, got 1.5"),
  (
    lambda: checks.between(0, 100, percentile=101),
    ValueError,
    "percentile must be between 0 and 100, got 101",
  ),
  (
    lambda: checks.finite(baseline=np.array([0.5, NAN])),
    ValueError,
    "baseline must be of finite size, got nan",
  ),
  (
    lambda: checks.finite(baseline="mean"),
    TypeError,
    "baseline must be a number of finite size, got 'mean'",
  ),
  (
    lambda: checks.function(logits_fn="net"),
    TypeError,
    "logits_fn must be a function, got 'net'",
  ),
  (
    lambda: checks.network(lambda: IMAGES),
    TypeError,
    "logits_fn must be a function of images alone: too many positional arguments",
  ),
  (
    lambda: checks.number_of_classes(lambda x, train: x, IMAGES),
    TypeError,
    "logits_fn must be a function of images alone: missing a required argument: 'train'",
  ),
  (lambda: checks.array(maps=[0.5]), TypeError, "maps must be an array of numbers, got list"),
  (
    lambda: checks.array(maps=np.array(["a"])),
    TypeError,
    "maps must be an array of numbers, got <U1",
  ),
  (
    lambda: checks.array(maps=jnp.array([True])),
    TypeError,
    "maps must be an array of numbers, got bool",
  ),
  (
    lambda: checks.number_of_classes(None, IMAGES),
    TypeError,
    "logits_fn must be a function, got None",
  ),
  (lambda: checks.count(steps=0), ValueError, "steps must be >= 1, got 0"),
  (lambda: checks.count(2, steps=1), ValueError, "steps must be >= 2, got 1"),
  (
    lambda: checks.count(steps=2.0),
    TypeError,
    "steps must be a whole number known when the function is traced, got 2.0",
  ),
  (
    lambda: checks.count(steps=True),
    TypeError,
    "steps must be a whole number known when the function is traced, got True",
  ),
  (
    lambda: checks.scalar(epsilon=[0.1, 0.2]),
    ValueError,
    "epsilon must be one number, got shape (2,); take several with jax.vmap",
  ),
  (
    lambda: checks.one_of("pdg", ("fgsm", "pgd"), argument="attack"),
    ValueError,
    "attack must be one of fgsm, pgd; got 'pdg' (did you mean 'pgd'?)",
  ),
  (
    lambda: checks.one_of(3, ("fgsm", "pgd"), argument="attack"),
    ValueError,
    "attack must be one of fgsm, pgd; got 3",
  ),
  (
    lambda: checks.pixel_bounds((0, 1, 2)),
    ValueError,
    "bounds must be a pair (low, high), got (0, 1, 2)",
  ),
  (lambda: checks.pixel_bounds(1.0), ValueError, "bounds must be a pair (low, high), got 1.0"),
  (
    lambda: checks.pixel_bounds((1, 0)),
    ValueError,
    "bounds must be finite with low < high, got (1.0, 0.0)",
  ),
  (
    lambda: checks.pixel_bounds((0, NAN)),
    ValueError,
    "bounds must be finite with low < high, got (0.0, nan)",
  ),
  (
    lambda: checks.pixel_bounds(("low", 1)),
    TypeError,
    "bounds must be a pair of numbers, got ('low', 1)",
  ),
  (
    lambda: checks.pixel_bounds(("0", "1")),
    TypeError,
    "bounds must be a pair of numbers, got ('0', '1')",
  ),
  (
    lambda: checks.pixel_bounds((0.0, [0.5, 1.0])),
    TypeError,
    "bounds must be a pair of numbers, got (0.0, [0.5, 1.0])",
  ),
  (
    lambda: checks.pixel_bounds((np.zeros(2), 1.0), channels=3),
    ValueError,
    "low of bounds must be one number or one for each channel, shape (3,), got shape (2,)",
  ),
  (
    lambda: checks.pixel_bounds((0, np.array([1, 0, 1])), channels=3),
    ValueError,
    "bounds must be finite with low < high, got (0.0, [1. 0. 1.])",
  ),
  (
    lambda: checks.images(
      jnp.array([[0.5, 0.5], [0.2, 0.7]]), bounds=(0, np.array([1.0, 0.6])), per_channel=True
    ),
    ValueError,
    "x must lie within bounds (0.0, 0.6), got values from 0.5 to 0.7 in channel 1",
  ),
  (
    lambda: checks.per_channel(3, epsilon=[0.1, 0.2]),
    ValueError,
    "epsilon must be one number or one for each channel, shape (3,), got shape (2,)",
  ),
  (
    lambda: checks.per_channel(2, epsilon=[[0.1], [0.2, 0.3]]),
    ValueError,
    "epsilon must be one number or one for each channel, shape (2,), got [[0.1], [0.2, 0.3]]",
  ),
  (lambda: checks.non_zero(theta=0), ValueError, "theta must be != 0, got 0"),
  (lambda: checks.non_zero(theta="1"), TypeError, "theta must be a number != 0, got '1'"),
  (
    lambda: checks.unrolled("yes"),
    TypeError,
    "unroll must be True, False, None or a number of steps, got 'yes'",
  ),
  (lambda: checks.unrolled(-1), ValueError, "unroll must be >= 0, got -1"),
  (
    lambda: checks.images([[0.5]]),
    TypeError,
    "x must be an array of images [batch, ...], got list",
  ),
  (
    lambda: checks.images(jnp.zeros((2, 2, 2, 1), jnp.uint8)),
    TypeError,
    "x must hold floating-point pixels, got uint8; convert with x.astype(jnp.float32) / 255",
  ),
  (
    lambda: checks.images(jnp.zeros(3)),
    ValueError,
    "x must have a batch axis [batch, ...], got shape (3,)",
  ),
  (
    lambda: checks.images(IMAGES.at[0, 0, 0, 0].set(NAN)),
    ValueError,
    "x must be finite, got NaN or infinite pixels",
  ),
  (
    lambda: checks.images(IMAGES * 510, bounds=(0, 1)),
    ValueError,
    "x must lie within bounds (0, 1), got values from 255 to 255",
  ),
  (
    lambda: checks.labels([0, 1], batch=2),
    TypeError,
    "y must hold integer classes [batch], got list",
  ),
  (
    lambda: checks.labels(None, batch=2),
    TypeError,
    "y must hold integer classes [batch], got NoneType",
  ),
  (
    lambda: checks.labels(jnp.zeros(2), batch=2),
    TypeError,
    "y must hold integer classes [batch], got float32",
  ),
  (
    lambda: checks.labels(jnp.zeros(3, int), batch=2),
    ValueError,
    "y must have one class per image, shape (2,), got (3,)",
  ),
  (
    lambda: checks.labels(jnp.array([0, 10]), batch=2, classes=10),
    ValueError,
    "y must hold classes 0 to 9, got 10",
  ),
  (
    lambda: checks.labels(jnp.array([-1, 3]), batch=2, classes=10),
    ValueError,
    "y must hold classes 0 to 9, got -1",
  ),
  (
    lambda: checks.number_of_classes(lambda x: x, IMAGES),
    ValueError,
    "logits_fn must map images (2, 2, 2, 1) to logits (2, classes), got (2, 2, 2, 1)",
  ),
  (
    lambda: checks.number_of_classes(lambda x: (x, x), IMAGES),
    ValueError,
    "logits_fn must map images (2, 2, 2, 1) to logits (2, classes), got tuple",
  ),
  (
    lambda: checks.number_of_classes(lambda x: x[:, 0, 0], IMAGES),
    ValueError,
    "logits_fn must give at least 2 classes, got 1",
  ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_a_bad_argument_is_refused_in_one_sentence(call, error, sentence):
  with pytest.raises(error) as caught:
    call()
  assert type(caught.value) is error
  assert str(caught.value) == sentence


def test_good_arguments_pass():
  checks.non_negative(epsilon=0, step_size=np.float32(0.1), both=[0.1, 0.2])
  checks.positive(temperature=jnp.array(2.0))
  checks.fraction(share=1)
  checks.count(steps=np.int64(3))
  checks.scalar(epsilon=jnp.array(0.1), step_size=0.1)
  checks.pixel_bounds((-1, 1))
  checks.pixel_bounds([jnp.array(0.0), 255])
  checks.pixel_bounds((np.array([-2.0, -1.0]), jnp.array([1.0, 2.0])), channels=2)
  checks.per_channel(2, epsilon=0.1, step_size=jnp.ones(2))
  checks.non_zero(theta=-1)
  for unroll in (None, True, np.bool_(False), 0, 3):
    checks.unrolled(unroll)
  checks.images(np.asarray(IMAGES), bounds=(0.5, 1.0))
  checks.images(jnp.zeros((0, 2, 2, 1)), bounds=(0, 1))
  checks.finite(baseline=np.array([-3, 5]), fill=jnp.float32(0.5))
  checks.between(0, 100, percentile=100)
  checks.function(logits_fn=len)
  checks.network(max)  # built in, without a signature
  checks.network(lambda x, train=False: x)
  checks.array(maps=jnp.zeros(2, jnp.bfloat16), masks=np.array([0, 1]))
  checks.labels(np.array([0, 9]), batch=2, classes=10)
  assert checks.number_of_classes(lambda x: x.reshape(2, 4), IMAGES) == 4
  # A reshape of no images to (0, -1) has no answer.
  assert checks.number_of_classes(lambda x: x.reshape(len(x), -1), IMAGES[:0]) == 4


def test_float_rounding_does_not_put_images_out_of_bounds():
  checks.images(jnp.array([[1.0 + 3e-7, -3e-7]]), bounds=(0, 1))
  # The next float32 after 255 is further from it than any tolerance for [0, 1].
  checks.images(np.nextafter(np.float32(255), np.float32(256)) * jnp.ones((1, 1)), bounds=(0, 255))
  with pytest.raises(ValueError, match="x must lie within bounds"):
    checks.images(jnp.full((1, 1), 255.01), bounds=(0, 255))


def test_what_is_traced_passes_with_its_shape_and_dtype_checked():
  def inside(x, y, epsilon, low):
    checks.images(x, bounds=(low, 1.0))
    checks.labels(y, batch=2, classes=10)
    checks.non_negative(epsilon=epsilon)
    return x

  jax.jit(inside)(IMAGES * NAN, jnp.array([0, 99]), -1.0, 5.0)
  traced = jax.jit(lambda x, high: checks.images(x, bounds=(0.0, high), per_channel=True))
  traced(jnp.full((1, 2), 9.0), jnp.array([0.0, -1.0]))
  with pytest.raises(ValueError, match="high of bounds must be one number or one for each channel"):
    traced(jnp.full((1, 2), 9.0), jnp.ones(3))
  jax.vmap(inside, (None, None, 0, None))(IMAGES, jnp.array([0, 1]), jnp.array([-1.0, 1.0]), 0.0)
  with pytest.raises(TypeError, match="floating-point"):
    jax.jit(inside)(IMAGES.astype(int), jnp.array([0, 1]), 0.1, 0.0)


def test_constants_inside_a_traced_function_are_checked_by_value():
  labels = jnp.array([0, 1])

  @jax.jit
  def inside(epsilon):
    checks.images(IMAGES, bounds=(jnp.array(0.0), 1.0))
    checks.labels(labels, batch=2, classes=2)
    return epsilon

  inside(0.1)
  with pytest.raises(ValueError, match="y must hold classes 0 to 0, got 1"):
    jax.jit(lambda e: checks.labels(labels, batch=2, classes=1) or e)(0.1)


def test_each_device_checks_its_part():
  def part(x):
    checks.images(x, bounds=(0, 1))
    return 2 * x

  assert jax.pmap(part)(jnp.stack([IMAGES, IMAGES])).shape == (2, *IMAGES.shape)


def test_a_flax_nnx_network_in_training_mode_is_told_to_go_to_evaluation_mode():
  network = nnx.Sequential(nnx.BatchNorm(2, rngs=nnx.Rngs(0)), lambda x: x.sum((1, 2)))
  x = jnp.ones((3, 2, 2, 2))
  with pytest.raises(ValueError, match="logits_fn must be a network in evaluation mode"):
    checks.number_of_classes(network, x)
  network.eval()
  assert checks.number_of_classes(network, x) == 2


def test_of_many_names_a_sentence_lists_eight():
  names = [f"name{i}" for i in range(20)]
  with pytest.raises(ValueError, match=r"^a must be one of name0, .*, name7, \.\.\.; got 'nam19'"):
    checks.one_of("nam19", names, argument="a")
  with pytest.raises(ValueError, match="did you mean 'name19'"):
    checks.one_of("nme19", names, argument="a")


@pytest.mark.parametrize(
  "value",
  [10**5000, "a" * 1000, ["a"] * 1000, {"a": "b" * 1000}],
  ids=["int", "str", "list", "dict"],
)
def test_no_value_is_repeated_at_length(value):
  for call in (
    lambda: checks.one_of(value, ("a",), argument="a"),
    lambda: checks.count(a=value),
    lambda: checks.positive(a=value),
    lambda: checks.flag(a=value),
  ):
    with pytest.raises((ValueError, TypeError), match=r"^a must be") as refused:
      call()
    assert len(str(refused.value)) < 200


def test_an_array_is_no_name():
  with pytest.raises(ValueError, match="norm must be one of l1, l2; got Array"):
    checks.one_of(jnp.array([1.0, 2.0]), ("l1", "l2"), argument="norm")


def test_an_empty_list_is_no_number():
  for value in ([], ()):
    with pytest.raises(TypeError, match="epsilon must be a number >= 0, got"):
      checks.non_negative(epsilon=value)
  checks.non_negative(values=np.zeros(0))  # of no images


def test_the_bounds_of_images_to_come_are_bounds():
  for bounds in ((0, 1), (np.zeros(3), 1.0), (np.zeros(3), np.ones(3))):
    checks.some_bounds(bounds)
  for bounds in (None, 1, "01", (1, 0), (0,), (np.zeros(3), np.ones(2)), (np.zeros(2), [1, -1])):
    with pytest.raises((ValueError, TypeError), match="bounds"):
      checks.some_bounds(bounds)


def test_a_list_of_lists_of_several_lengths_is_no_number():
  with pytest.raises(ValueError, match=r"epsilon must be one number, got \[\[1\], \[1, 2\]\]"):
    checks.scalar(epsilon=[[1], [1, 2]])
