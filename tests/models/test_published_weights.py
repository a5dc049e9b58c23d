"""Published weights in the usual layouts of PyTorch's residual networks, from safetensors."""

import jax
import ml_dtypes
import numpy as np
import pytest

from robust_saliency import models

safetensors = pytest.importorskip("safetensors.numpy")


def batch_norm(name, features):
  return {
    **{f"{name}.{one}": (features,) for one in ("weight", "bias", "running_mean", "running_var")},
    f"{name}.num_batches_tracked": (),
  }


def usual_layout(depth=10, width=1, classes=10, seed=0):
  """Name -> random tensor, as the state of the PyTorch module has them."""
  features = [16, 16 * width, 32 * width, 64 * width]
  shapes = {"conv1.weight": (16, 3, 3, 3)}
  for group in (1, 2, 3):
    for block in range((depth - 4) // 6):
      name, after = f"block{group}.layer.{block}", features[group]
      before = features[group - 1] if block == 0 else after
      shapes |= batch_norm(f"{name}.bn1", before) | batch_norm(f"{name}.bn2", after)
      shapes[f"{name}.conv1.weight"] = (after, before, 3, 3)
      shapes[f"{name}.conv2.weight"] = (after, after, 3, 3)
      if before != after:
        shapes[f"{name}.convShortcut.weight"] = (after, before, 1, 1)
  shapes |= batch_norm("bn1", features[3])
  shapes |= {"fc.weight": (classes, features[3]), "fc.bias": (classes,)}
  return random(shapes, seed)


def basic_layout(blocks, width, classes, *, preactivation, final_norm=True):
  """That of ResNets of two convolutions a block."""
  shapes, before = {"conv1.weight": (width, 3, 3, 3)}, width
  for group, number in enumerate(blocks):
    for block in range(number):
      name, after = f"layer{group + 1}.{block}", width * 2**group
      shapes |= batch_norm(f"{name}.bn1", before if preactivation else after)
      shapes |= batch_norm(f"{name}.bn2", after)
      shapes[f"{name}.conv1.weight"] = (after, before, 3, 3)
      shapes[f"{name}.conv2.weight"] = (after, after, 3, 3)
      if before != after:
        shapes[f"{name}.shortcut.0.weight"] = (after, before, 1, 1)
        shapes |= {} if preactivation else batch_norm(f"{name}.shortcut.1", after)
      before = after
  if not preactivation:
    shapes |= batch_norm("bn1", width)
  elif final_norm:
    shapes |= batch_norm("bn", before)
  return random(shapes | {"linear.weight": (classes, before), "linear.bias": (classes,)})


def random(shapes, seed=0):
  rng = np.random.default_rng(seed)
  return {
    name: np.array(7)
    if name.endswith("num_batches_tracked")
    else rng.uniform(0.1, 1, shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def read(tensors, tmp_path):
  path = tmp_path / "weights.safetensors"
  safetensors.save_file(tensors, path)
  return models.read_published_weights(path)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  ("tensors", "module", "title"),
  [
    (usual_layout(10, 1, 10), models.WideResNet(depth=10, width=1), "WideResNet-10-1"),
    (usual_layout(16, 2, 7), models.WideResNet(7, depth=16, width=2), "WideResNet-16-2"),
    (
      basic_layout((2, 2, 2, 2), 4, 7, preactivation=False),
      models.ResNet(7, width=4),
      "ResNet-18",
    ),
    (
      basic_layout((1, 2, 1, 1), 3, 10, preactivation=True),
      models.ResNet(blocks=(1, 2, 1, 1), width=3, preactivation=True),
      "PreActResNet-12",
    ),
    (
      basic_layout((2, 2, 2, 2), 2, 10, preactivation=True, final_norm=False),
      models.ResNet(width=2, preactivation=True, final_norm=False),
      "PreActResNet-18",
    ),
  ],
  ids=["WRN-10-1", "WRN-16-2", "ResNet", "PreActResNet", "PreActResNet without a last norm"],
)
def test_depth_width_and_classes_are_those_of_the_tensors(tensors, module, title, tmp_path):
  found = read(tensors, tmp_path)
  given = {"dropout_rate": 0.0} if isinstance(module, models.WideResNet) else {}
  assert found.module == module.clone(**given)
  assert found.architecture == title
  of_module = jax.eval_shape(lambda: models.init(found.module, jax.random.key(0), (32, 32, 3)))
  assert jax.tree.map(np.shape, found.variables) == jax.tree.map(lambda one: one.shape, of_module)
  numbers = sum(one.size for name, one in tensors.items() if "batches" not in name)
  assert sum(leaf.size for leaf in jax.tree.leaves(found.variables)) == numbers
  assert found.mean is None


def test_prefixes_and_a_normalisation_within_the_model_are_understood(tmp_path):
  tensors = usual_layout()
  plain = read(tensors, tmp_path)
  mean, std = np.float32([0.49, 0.48, 0.45]), np.float32([0.25, 0.24, 0.26])
  unused = {"sub_block1.layer.0.conv1.weight": tensors["block1.layer.0.conv1.weight"]}
  for prefix, beside, shape in [
    ("", ("mu", "sigma"), (1, 3, 1, 1)),
    ("module.", ("module.mu", "module.sigma"), (1, 3, 1, 1)),
    ("1.", ("0.mean", "0.std"), (3,)),
    ("module.model.", ("module.normalizer.mean", "module.normalizer.std"), (3, 1, 1)),
  ]:
    named = {f"{prefix}{name}": one for name, one in (tensors | unused).items()}
    named |= dict(zip(beside, (mean.reshape(shape), std.reshape(shape)), strict=True))
    found = read(named, tmp_path)
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.std, std)
    jax.tree.map(np.testing.assert_array_equal, found.variables, plain.variables)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_numbers_of_another_precision_are_rounded_to_float32(dtype, tmp_path):
  tensors = {
    name: one if one.dtype.kind == "i" else one.astype(dtype)
    for name, one in usual_layout().items()
  }
  kernel = read(tensors, tmp_path).variables["params"]["Conv_0"]["kernel"]
  expected = tensors["conv1.weight"].astype(np.float32)
  np.testing.assert_array_equal(kernel, np.moveaxis(expected, (2, 3, 1, 0), (0, 1, 2, 3)))


def without(name):
  return lambda tensors: tensors.pop(name)


def reshaped(name, shape):
  return lambda tensors: tensors.update({name: np.zeros(shape, np.float32)})


@pytest.mark.parametrize(
  ("change", "named"),
  [
    (without("block2.layer.0.convShortcut.weight"), ["convShortcut.weight is missing"]),
    (without("bn1.running_var"), ["bn1.running_var is missing"]),
    (
      without("fc.weight"),
      ["with fc.weight and block1.layer.0.conv1.weight or linear.weight and layer1.0.conv1.weight"],
    ),
    (reshaped("fc.bias", (9,)), ["fc.bias must have shape [10], got shape [9]"]),
    (reshaped("block3.layer.0.conv2.weight", (64, 64, 1, 1)), ["got shape [1, 1, 64, 64]"]),
    (reshaped("conv1.weight", (16, 3)), ["must hold convolutions conv1.weight"]),
    (reshaped("head.weight", (3,)), ["head.weight is left over"]),
    (reshaped("mean", (3,)), ["mean is left over"]),
    (reshaped("\x1b[2J", (3,)), [r" \x1b[2J is left over"]),
    (lambda tensors: tensors["bn1.bias"].fill(np.nan), ["bn1.bias must be finite"]),
    (
      lambda tensors: [tensors.pop("bn1.bias"), tensors.update(a=np.ones(1), b=np.ones(1))],
      ["bn1.bias is missing", "a is left over", "b is left over"],
    ),
  ],
)
def test_every_tensor_that_does_not_fit_is_named_in_one_sentence(change, named, tmp_path):
  tensors = usual_layout()
  change(tensors)
  with pytest.raises(ValueError, match=r"weights\.safetensors must hold") as error:
    read(tensors, tmp_path)
  assert all(one in str(error.value) for one in named)
  assert str(error.value).isprintable()


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    (without("layer2.0.shortcut.1.bias"), "ResNet-10: layer2.0.shortcut.1.bias is missing"),
    (without("layer2.0.bn1.weight"), "layer2.0.bn1.weight and 4 groups of blocks, got .*shape .. "),
    (without("bn1.weight"), "ResNet-10: bn1.weight is missing"),
    (reshaped("linear.weight", (9,)), "a matrix linear.weight"),
    (reshaped("layer1.0.shortcut.0.weight", (4, 4, 1, 1)), "shortcut.0.weight is left over"),
    (reshaped("layer5.0.conv1.weight", (4, 4, 3, 3)), "layer5.0.conv1.weight is left over"),
  ],
)
def test_a_resnet_s_tensors_that_do_not_fit_are_named_too(change, sentence, tmp_path):
  tensors = basic_layout((1, 1, 1, 1), 4, 10, preactivation=False)
  change(tensors)
  with pytest.raises(ValueError, match=sentence):
    read(tensors, tmp_path)


def test_pickles_and_other_files_are_refused_with_the_way_to_convert_them(tmp_path):
  for name in ("model.pt", "model.pth", "model"):
    with pytest.raises(ValueError, match=r"torch\.load\('.*weights_only=True") as error:
      models.read_published_weights(tmp_path / name)
    assert f"load('{tmp_path / name}'" in str(error.value)
    assert f"}}, '{tmp_path / 'model.safetensors'}')" in str(error.value)
  path = tmp_path / "model.safetensors"
  with pytest.raises(FileNotFoundError, match="which is none"):
    models.read_published_weights(path)
  for content in (b"", b"\x80\x04N.", b"\xff" * 20):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as safetensors") as error:
      models.read_published_weights(path)
    assert "\n" not in str(error.value)
