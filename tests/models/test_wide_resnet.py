import jax
import numpy as np
import pytest
from scipy.special import softmax

from robust_saliency import models

FORMS = ("usual", "noack")


def parameters(**fields):
  variables = jax.eval_shape(
    lambda key: models.init(models.build("wide_resnet", **fields), key, (32, 32, 3)),
    jax.random.key(0),
  )
  return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
  ("fields", "count"),
  [
    # As counted by the authors' tables and by public PyTorch code; the 36,489,290 of the form
    # with biases is that of Noack et al.'s network.
    ({"depth": 28, "width": 10}, 36_479_194),
    ({"depth": 28, "width": 10, "form": "noack"}, 36_489_290),
    ({"depth": 16, "width": 8}, 10_961_370),
    ({"depth": 40, "width": 4}, 8_949_210),
  ],
)
def test_parameters_are_as_many_as_published(fields, count):
  assert parameters(**fields) == count


def test_a_depth_that_no_wide_residual_network_has_is_refused():
  for depth in (4, 12, 27):
    with pytest.raises(ValueError, match=rf"depth must be 6 n \+ 4 .* got {depth}"):
      parameters(depth=depth)
  with pytest.raises(ValueError, match=r"form must be one of usual, noack; got 'usal'"):
    parameters(form="usal")
  with pytest.raises(ValueError, match="width must be >= 1, got 0"):
    parameters(width=0)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_weights_start_as_the_form_says(form):
  module = models.build("wide_resnet", depth=10, width=4, form=form)
  params = models.init(module, jax.random.key(0), (32, 32, 3))["params"]
  layers = {"stem": params["Conv_0"]}
  for group in range(3):
    block = params[f"group_{group}_block_0"]
    layers |= {f"{group} {name}": layer for name, layer in block.items() if "Conv" in name}
  for layer in layers.values():
    height, width, before, after = layer["kernel"].shape
    variance = (
      2 / (height * width * after) if form == "usual" else 1 / (3 * height * width * before)
    )
    # A variance estimated from n numbers has a relative standard error of at most sqrt(2 / n).
    kernel = np.asarray(layer["kernel"])
    assert abs(kernel.var() / variance - 1) < 4 * np.sqrt(2 / kernel.size)
    assert ("bias" in layer) == (form == "noack")
    if form == "noack":
      limit = 1 / np.sqrt(height * width * before)
      assert 0 < np.abs(layer["bias"]).max() <= limit
      assert np.abs(kernel).max() <= limit
  bias = params["Dense_0"]["bias"]
  assert bias.any() == (form == "noack")


def torch_batch_norm(torch, x, params, running, train, momentum):
  return torch.nn.functional.batch_norm(
    x,
    running["mean"],
    running["var"],
    params["scale"],
    params["bias"],
    training=train,
    momentum=momentum,
    eps=1e-5,
  )


def torch_convolution(torch, x, layer, stride):
  kernel = layer["kernel"].permute(3, 2, 0, 1)
  return torch.nn.functional.conv2d(
    x, kernel, layer.get("bias"), stride=stride, padding=kernel.shape[-1] // 2
  )


def torch_block(torch, x, params, running, *, form, stride, train, dropped):
  def activate(x, i):
    name = f"BatchNorm_{i}"
    return torch.relu(torch_batch_norm(torch, x, params[name], running[name], train, 0.1))

  first = activate(x, 0)
  if form == "noack":
    y = torch_convolution(torch, first, params["Conv_0"], 1) * dropped
    y = torch_convolution(torch, activate(y, 1), params["Conv_1"], stride)
    shortcut = x
  else:
    y = activate(torch_convolution(torch, first, params["Conv_0"], stride), 1) * dropped
    y = torch_convolution(torch, y, params["Conv_1"], 1)
    shortcut = first
  return y + (
    torch_convolution(torch, shortcut, params["Conv_2"], stride) if "Conv_2" in params else x
  )


def test_the_output_may_be_probabilities_as_that_of_the_authors_code():
  of_logits, of_probabilities = (
    models.build("wide_resnet", depth=10, width=1, form="noack", output=output)
    for output in ("logits", "probabilities")
  )
  x = jax.random.uniform(jax.random.key(1), (3, 8, 8, 3))
  variables = of_logits.init(jax.random.key(0), x)
  found = of_probabilities.apply(variables, x)
  np.testing.assert_allclose(found, softmax(of_logits.apply(variables, x), axis=1), rtol=1e-5)
  with pytest.raises(ValueError, match=r"output must be one of .*probabilities; got 'prob'"):
    models.build("wide_resnet", output="prob").init(jax.random.key(0), x)


@pytest.mark.peers
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
  ("depth", "width", "side"),
  [(16, 1, 12), pytest.param(28, 10, 32, marks=pytest.mark.slow)],
)
def test_logits_input_gradient_and_statistics_equal_those_of_a_pytorch_twin(
  depth, width, side, form, train, compare_with_twin, dropout_mask
):
  # Depth 16 and width 1 have blocks with and without a shortcut of their own.
  batch, blocks = 3, (depth - 4) // 6
  bessel = {"BatchNorm_0": (batch * (side // 4) ** 2, 0.1 if form == "noack" else 0.9)}

  def twin(torch, variables, train, keys):
    params, running = variables["params"], variables["batch_stats"]

    def network(x):
      x = torch_convolution(torch, x.permute(0, 3, 1, 2), params["Conv_0"], 1)
      for group in range(3):
        for block in range(blocks):
          name = f"group_{group}_block_{block}"
          stride = 2 if group > 0 and block == 0 else 1
          after = x.shape[2] // stride
          before = x.shape[2] if form == "noack" else after
          bessel[f"{name}/BatchNorm_0"] = (batch * x.shape[2] ** 2, 0.9)
          bessel[f"{name}/BatchNorm_1"] = (batch * before**2, 0.9)
          features = 16 * width * 2**group
          dropped = dropout_mask(
            (before, before, features), 0.3, train=train, keys=keys, layer=group * blocks + block
          )
          x = torch_block(
            torch,
            x,
            params[name],
            running[name],
            form=form,
            stride=stride,
            train=train,
            dropped=dropped.permute(0, 3, 1, 2),
          )
      momentum = 0.9 if form == "noack" else 0.1
      last = params["BatchNorm_0"], running["BatchNorm_0"]
      x = torch.relu(torch_batch_norm(torch, x, *last, train, momentum))
      x = torch.nn.functional.avg_pool2d(x, x.shape[2]).flatten(1)
      return x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]

    return network

  module = models.build("wide_resnet", depth=depth, width=width, form=form)
  compare_with_twin(module, twin, (side, side, 3), train=train, batch=batch, bessel=bessel)
