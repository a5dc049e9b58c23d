import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import windows

from robust_saliency.models import local_contrast_normalization


def by_scipy(x, mean, window=7, sigma=3):
  profile = windows.gaussian(window, sigma)
  weights = np.outer(profile, profile) / profile.sum() ** 2

  def blur(image):
    return ndimage.correlate(image, weights, mode="constant", cval=0.0)

  v = np.stack([image - blur(image) for image in x[..., 0].astype(np.float64)])
  d = np.sqrt([blur(image**2) for image in v])
  average = d.mean() if mean == "batch" else d.mean((1, 2), keepdims=True)
  return (v / np.maximum(np.maximum(d, average), 1e-4))[..., None]


def images(batch=3, height=9, width=12):
  scales = jnp.arange(1.0, batch + 1)[:, None, None, None]
  return scales * jax.random.normal(jax.random.key(0), (batch, height, width, 1))


@pytest.mark.parametrize("mean", ["image", "batch"])
@pytest.mark.parametrize(("window", "sigma"), [(7, 3.0), (5, 1.0)])
def test_images_are_normalised_as_by_scipy_s_filters(mean, window, sigma):
  x = images()
  ours = jax.jit(lambda x: local_contrast_normalization(x, mean=mean, window=window, sigma=sigma))(
    x
  )
  np.testing.assert_allclose(
    ours, by_scipy(np.asarray(x), mean, window, sigma), rtol=1e-4, atol=1e-5
  )


def test_an_image_s_result_depends_on_its_companions_with_the_batch_s_mean_alone():
  x = images()
  together, alone = (local_contrast_normalization(a) for a in (x, x[:1]))
  np.testing.assert_allclose(together[:1], alone, rtol=1e-6)
  together, alone = (local_contrast_normalization(a, mean="batch") for a in (x, x[:1]))
  assert not np.allclose(together[:1], alone, rtol=0.1)


def test_padding_is_left_out_of_the_batch_s_mean():
  x = images().at[2].set(1e3)
  masked = local_contrast_normalization(x, mean="batch", mask=jnp.array([1, 1, 0]))
  np.testing.assert_allclose(masked[:2], local_contrast_normalization(x[:2], mean="batch"), 1e-6)


@pytest.mark.parametrize("mean", ["image", "batch"])
def test_flat_images_stay_flat_and_have_finite_gradients(mean):
  x = jnp.zeros((2, 9, 9, 1))

  def normalise(x):
    return local_contrast_normalization(x, mean=mean)

  assert not normalise(x).any()
  gradient = jax.grad(lambda x: jnp.sin(normalise(x)).sum())(x)
  assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("mean", ["image", "batch"])
def test_gradients_are_those_of_finite_differences(mean):
  with jax.enable_x64(True):
    x = images().astype(jnp.float64)
    direction = jax.random.normal(jax.random.key(1), x.shape, jnp.float64)

    def score(x):
      return jnp.sin(local_contrast_normalization(x, mean=mean)).sum()

    slope = (score(x + 1e-6 * direction) - score(x - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(jnp.vdot(jax.grad(score)(x), direction), slope, rtol=1e-6)


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"mean": "images"}, r"mean must be one of image, batch; got 'images' .*'image'"),
    ({"window": 6}, "window must be odd, got 6"),
    ({"x": jnp.zeros((2, 8, 8, 3))}, r"x must hold grey images \[B, H, W, 1\], got shape"),
  ],
)
def test_what_is_not_allowed_is_said_in_one_sentence(changes, sentence):
  with pytest.raises(ValueError, match=sentence):
    local_contrast_normalization(**{"x": images(), **changes})
