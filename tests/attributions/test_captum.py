"""Our attributions beside captum's, on one network with the same weights."""

import copy
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from robust_saliency import models
from robust_saliency.attributions import (
  deconvnet,
  deeplift,
  feature_ablation,
  grad_cam,
  gradient,
  gradient_x_input,
  guided_backprop,
  integrated_gradients,
  lrp,
  occlusion,
  smoothgrad,
  smoothgrad_squared,
)

torch = pytest.importorskip("torch", reason="compares with captum")
captum = pytest.importorskip("captum.attr", reason="compares with captum")
twins = pytest.importorskip(
  "benchmarks.torch_twin", reason="needs the repository's root on the path"
)

pytestmark = [
  pytest.mark.peers,
  pytest.mark.filterwarnings("ignore:Setting .*hooks:UserWarning"),
  pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
]

KEY = jax.random.key(0)
EXAMPLES = 6


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "batch norm"])
def digits(request):
  """(logits_fn, its PyTorch twin, x, y): a network with random weights on real digits."""
  module = models.build("digits", batch_norm=request.param)
  variables = models.init(module, jax.random.key(1), (8, 8, 1))
  images, labels = load_digits(return_X_y=True)
  x = jnp.asarray(images[:EXAMPLES].reshape(-1, 8, 8, 1) / 16, jnp.float32)
  # Statistics of real images and biases that are not 0, as after training.
  _, collections = models.apply_fn(module)(variables, x, train=True)
  params = jax.tree.map(
    lambda p: p if p.ndim > 1 else 0.1 * jax.random.normal(KEY, p.shape), variables["params"]
  )
  variables = {"params": params, **collections}
  logits_fn = jax.jit(models.logits_fn(module, variables))
  return logits_fn, twins.Twin(variables), x, jnp.asarray(labels[:EXAMPLES])


def agree(ours, theirs):
  """To 1e-4 of a map's largest value, and of every value that is not near 0 in it."""
  theirs = twins.images_from_torch(theirs)
  assert theirs.shape == ours.shape
  for our_map, their_map in zip(np.asarray(ours), theirs, strict=True):
    largest = np.abs(their_map).max()
    assert largest > 0
    np.testing.assert_allclose(our_map, their_map, rtol=1e-4, atol=1e-5 * largest)


def explain(method, digits, **settings):
  logits_fn, _, x, y = digits
  return jax.jit(partial(method, KEY, logits_fn, **settings))(x, y)


def their_inputs(digits):
  """(images, labels) for captum."""
  return twins.images_for_torch(digits[2]), torch.tensor(digits[3].tolist())


def test_saliency_without_the_absolute_value_that_captum_takes_by_default(digits):
  x, y = their_inputs(digits)
  signed = captum.Saliency(digits[1]).attribute(x, y, abs=False)
  agree(explain(gradient, digits), signed)
  agree(jnp.abs(explain(gradient, digits)), captum.Saliency(digits[1]).attribute(x, y))


def test_gradient_x_input(digits):
  x, y = their_inputs(digits)
  agree(explain(gradient_x_input, digits), captum.InputXGradient(digits[1]).attribute(x, y))


@pytest.mark.parametrize(
  ("rule", "method"),
  [
    ("gauss_legendre", "gausslegendre"),
    ("left", "riemann_left"),
    ("right", "riemann_right"),
    ("midpoint", "riemann_middle"),
    ("trapezoid", "riemann_trapezoid"),
  ],
)
def test_integrated_gradients(digits, rule, method):
  x, y = their_inputs(digits)
  theirs = captum.IntegratedGradients(digits[1]).attribute(x, 0.25, y, n_steps=20, method=method)
  ours = explain(integrated_gradients, digits, baseline=0.25, steps=20, rule=rule)
  if rule == "trapezoid":
    # captum's weights are 1/n apart from the ends, ours 1/(n - 1), so that they sum to 1.
    ours *= 19 / 20
  agree(ours, theirs)


@pytest.mark.parametrize(
  ("method", "name"), [(smoothgrad, "smoothgrad"), (smoothgrad_squared, "smoothgrad_sq")]
)
@pytest.mark.parametrize("inner", ["gradient", "integrated gradients"])
def test_noise_tunnel_with_the_same_noise(digits, monkeypatch, method, name, inner):
  logits_fn, twin, x, y = digits
  attribution, peer, settings = {
    "gradient": (gradient, captum.Saliency(twin), {"abs": False}),
    "integrated gradients": (
      partial(integrated_gradients, steps=10),
      captum.IntegratedGradients(twin),
      {"n_steps": 10},
    ),
  }[inner]
  copies = []

  def record(key, logits_fn, images, classes):
    jax.debug.callback(lambda images: copies.append(np.asarray(images)), images, ordered=True)
    return attribution(key, logits_fn, images, classes)

  ours = method(KEY, logits_fn, x, y, attribution=record, samples=7, noise_level=0.2, unroll=True)
  jax.effects_barrier()
  assert len(copies) == 7
  noise = np.stack(copies, axis=1) - np.asarray(x)[:, None]
  assert noise.std() == pytest.approx(0.2, rel=0.1)

  def same_noise(mean, deviation):
    # captum's rows are the copies of the first image, then those of the second.
    return twins.images_for_torch(noise.reshape(-1, 8, 8, 1)).view_as(deviation)

  monkeypatch.setattr(torch, "normal", same_noise)
  images, labels = their_inputs(digits)
  theirs = captum.NoiseTunnel(peer).attribute(
    images, nt_type=name, nt_samples=7, stdevs=0.2, target=labels, **settings
  )
  agree(ours, theirs)


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 1), ((4, 3), (3, 2))])
def test_occlusion(digits, window, stride):
  x, y = their_inputs(digits)
  height, width = (window, window) if isinstance(window, int) else window
  down, right = (stride, stride) if isinstance(stride, int) else stride
  theirs = captum.Occlusion(digits[1]).attribute(
    x, (1, height, width), strides=(1, down, right), baselines=0.25, target=y
  )
  agree(explain(occlusion, digits, window=window, stride=stride, baseline=0.25), theirs)


@pytest.mark.parametrize("own_segments", [False, True])
def test_feature_ablation(digits, own_segments):
  x, y = their_inputs(digits)
  labels = np.random.default_rng(0).integers(0, 9, (EXAMPLES if own_segments else 1, 8, 8))
  theirs = captum.FeatureAblation(digits[1]).attribute(
    x, baselines=0.25, target=y, feature_mask=torch.tensor(labels[:, None])
  )
  segments = labels if own_segments else labels[0]
  agree(explain(feature_ablation, digits, segments=segments, baseline=0.25), theirs)


@pytest.mark.parametrize(
  ("ours", "theirs"), [(guided_backprop, "GuidedBackprop"), (deconvnet, "Deconvolution")]
)
def test_modified_backward_passes(digits, ours, theirs):
  x, y = their_inputs(digits)
  agree(explain(ours, digits), getattr(captum, theirs)(digits[1]).attribute(x, target=y))


@pytest.mark.parametrize("baseline", [0.0, 0.25])
def test_deeplift(digits, baseline):
  class Copy(torch.nn.Module):
    def forward(self, x):
      return x.clone()

  # captum's rule of a ReLU misses what the rule of a pooling right behind it changes (its issue
  # 1104; the maps' sum is then not the logit's change), so a copy stands between the two.
  layers = []
  for layer in digits[1].layers:
    layers += [Copy(), layer] if isinstance(layer, torch.nn.MaxPool2d) else [layer]
  x, y = their_inputs(digits)
  theirs, incompleteness = captum.DeepLift(torch.nn.Sequential(*layers)).attribute(
    x, torch.full_like(x, baseline), target=y, return_convergence_delta=True
  )
  assert incompleteness.abs().max() < 1e-5
  agree(explain(deeplift, digits, baseline=baseline), theirs)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1])
def test_lrp(digits, epsilon):
  twin = digits[1]
  if any(isinstance(layer, torch.nn.BatchNorm2d) for layer in twin.layers):
    pytest.skip("captum gives batch norm a share of its own, we count it to the layer before it")
  from captum.attr._utils.lrp_rules import EpsilonRule

  class FlattenedBetweenLayers(torch.nn.Module):
    """The twin, whose flattening is no layer, since captum has no rule for it."""

    def __init__(self):
      super().__init__()
      layers = list(copy.deepcopy(twin.layers))
      (between,) = (i for i, layer in enumerate(layers) if isinstance(layer, twins.ChannelsLast))
      self.flatten = [layers[between]]  # in a list, it is not registered
      self.before = torch.nn.Sequential(*layers[:between])
      self.after = torch.nn.Sequential(*layers[between + 1 :])

    def forward(self, x):
      return self.after(self.flatten[0](self.before(x)))

  peer = FlattenedBetweenLayers()
  for layer in [*peer.before, *peer.after]:
    if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
      layer.rule = EpsilonRule(epsilon=epsilon)
  images, labels = their_inputs(digits)
  theirs = captum.LRP(peer).attribute(images, labels)
  agree(explain(lrp, digits, epsilon=epsilon), theirs)


def test_grad_cam(digits):
  """On the second convolution, in a network of two parts."""
  _, twin, x, y = digits
  layers = list(twin.layers)
  place = [i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Conv2d)][1]
  images, labels = their_inputs(digits)
  theirs = captum.LayerGradCam(twin, layers[place]).attribute(
    images, labels, relu_attributions=False
  )
  theirs = captum.LayerAttribution.interpolate(theirs, (8, 8), "bilinear")

  def in_torch(part):
    """A part of the twin as a JAX function, with its gradient."""

    def run(a):
      with torch.no_grad():
        return part(torch.tensor(np.asarray(a))).numpy()

    return run

  features = in_torch(torch.nn.Sequential(*layers[: place + 1]))
  head = torch.nn.Sequential(*layers[place + 1 :])
  values = np.transpose(features(np.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))
  leaf = torch.tensor(np.transpose(values, (0, 3, 1, 2))).requires_grad_()
  head(leaf)[torch.arange(EXAMPLES), labels].sum().backward()
  slopes = leaf.grad.permute(0, 2, 3, 1).numpy()
  # A head that is linear in the features, with that gradient.
  flat = jnp.asarray(slopes).reshape(EXAMPLES, -1)

  def head_fn(features):
    return (features.reshape(EXAMPLES, -1) * flat).sum(1, keepdims=True) * jax.nn.one_hot(y, 10)

  ours = grad_cam(
    KEY, None, x, y, features_fn=lambda _: jnp.asarray(values), head_fn=head_fn, relu=False
  )
  agree(ours, theirs)
