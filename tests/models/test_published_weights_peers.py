"""Networks whose weights were published for PyTorch, beside PyTorch itself."""

import os

import jax
import numpy as np
import pytest

from robust_saliency import data, models
from robust_saliency.attacks import autoattack_members, run_attacks

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytest.importorskip("torchattacks", reason="compares with torchattacks")
safetensors = pytest.importorskip("safetensors.torch", reason="writes what PyTorch has trained")

pytestmark = pytest.mark.peers
nn, F = torch.nn, torch.nn.functional


class Block(nn.Module):
  def __init__(self, before, after, stride):
    super().__init__()
    self.bn1, self.bn2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
    self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
    if before != after:
      self.convShortcut = nn.Conv2d(before, after, 1, stride, bias=False)

  def forward(self, x):
    activated = F.relu(self.bn1(x))
    y = self.conv2(F.relu(self.bn2(self.conv1(activated))))
    return y + (self.convShortcut(activated) if hasattr(self, "convShortcut") else x)


class Group(nn.Module):
  def __init__(self, blocks, before, after, stride):
    super().__init__()
    first = Block(before, after, stride)
    self.layer = nn.Sequential(first, *(Block(after, after, 1) for _ in range(blocks - 1)))

  def forward(self, x):
    return self.layer(x)


class PublishedWRN(nn.Module):
  """The usual PyTorch code's layout: its module names, with the pixels' normalisation inside."""

  def __init__(self, depth, width):
    super().__init__()
    features, blocks = [16, 16 * width, 32 * width, 64 * width], (depth - 4) // 6
    self.register_buffer("mu", torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1))
    self.register_buffer("sigma", torch.tensor([0.2471, 0.2435, 0.2616]).view(1, 3, 1, 1))
    self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    self.block1 = Group(blocks, features[0], features[1], 1)
    self.block2 = Group(blocks, features[1], features[2], 2)
    self.block3 = Group(blocks, features[2], features[3], 2)
    self.bn1 = nn.BatchNorm2d(features[3])
    self.fc = nn.Linear(features[3], 10)

  def forward(self, x):
    x = self.conv1((x - self.mu) / self.sigma)
    x = F.relu(self.bn1(self.block3(self.block2(self.block1(x)))))
    return self.fc(F.avg_pool2d(x, 8).flatten(1))


class BasicBlock(nn.Module):
  """Of ResNets as the usual PyTorch code for CIFAR-10 has them, in both forms."""

  def __init__(self, before, after, stride, preactivation):
    super().__init__()
    self.preactivation = preactivation
    self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
    self.bn1, self.bn2 = nn.BatchNorm2d(before if preactivation else after), nn.BatchNorm2d(after)
    shortcut = (
      [] if stride == 1 and before == after else [nn.Conv2d(before, after, 1, stride, bias=False)]
    )
    if shortcut and not preactivation:
      shortcut.append(nn.BatchNorm2d(after))
    self.shortcut = nn.Sequential(*shortcut)

  def forward(self, x):
    if self.preactivation:
      activated = F.relu(self.bn1(x))
      y = self.conv2(F.relu(self.bn2(self.conv1(activated))))
      return y + (self.shortcut(activated) if len(self.shortcut) else x)
    y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
    return F.relu(y + self.shortcut(x))


class PublishedResNet(nn.Module):
  def __init__(self, blocks, width, preactivation):
    super().__init__()
    self.preactivation = preactivation
    self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
    before = width
    for group, number in enumerate(blocks):
      after, parts = width * 2**group, []
      for block in range(number):
        stride = 2 if group > 0 and block == 0 else 1
        parts.append(BasicBlock(before, after, stride, preactivation))
        before = after
      setattr(self, f"layer{group + 1}", nn.Sequential(*parts))
    if preactivation:
      self.bn = nn.BatchNorm2d(before)
    else:
      self.bn1 = nn.BatchNorm2d(width)
    self.linear = nn.Linear(before, 10)

  def forward(self, x):
    x = self.conv1(x) if self.preactivation else F.relu(self.bn1(self.conv1(x)))
    x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
    x = F.relu(self.bn(x)) if self.preactivation else x
    return self.linear(F.avg_pool2d(x, 4).flatten(1))


def published(network, images):
  """A network of random weights, with the statistics of some images, in evaluation mode."""
  for module in network.modules():
    if isinstance(module, nn.BatchNorm2d):
      nn.init.uniform_(module.weight, 0.5, 1.5)
      nn.init.normal_(module.bias, std=0.2)
      module.momentum = 0.7
  with torch.no_grad():
    network.train()(images)
  return network.eval().requires_grad_(False)


def seeded(make, *arguments):
  torch.manual_seed(0)
  torch.set_num_threads(1)  # many of them wait for one another on a busy machine
  return make(*arguments)


def to_ours(network, tmp_path):
  path = tmp_path / "published.safetensors"
  tensors = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
  safetensors.save_file(tensors, path)
  return models.read_published_weights(path)


@pytest.mark.parametrize(
  ("make", "arguments", "title"),
  [
    (PublishedWRN, (10, 1), "WideResNet-10-1"),
    (PublishedWRN, (16, 2), "WideResNet-16-2"),
    pytest.param(PublishedWRN, (28, 10), "WideResNet-28-10", marks=pytest.mark.slow),
    (PublishedResNet, ((2, 2, 2, 2), 16, False), "ResNet-18"),
    (PublishedResNet, ((2, 2, 2, 2), 16, True), "PreActResNet-18"),
    pytest.param(
      PublishedResNet, ((3, 4, 6, 3), 64, True), "PreActResNet-34", marks=pytest.mark.slow
    ),
  ],
)
def test_the_logits_are_those_of_pytorch(make, arguments, title, tmp_path):
  x = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype(np.float32)
  network = published(seeded(make, *arguments), torch.tensor(x).permute(0, 3, 1, 2))
  found = to_ours(network, tmp_path)
  assert found.architecture == title
  theirs = network(torch.tensor(x).permute(0, 3, 1, 2)).numpy()
  ours = jax.jit(found.logits_fn)(x)
  assert theirs.std() > 0.1
  np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_autoattack_gives_the_verdicts_of_torchattacks_on_cifar10(request, monkeypatch, tmp_path):
  """Of the network's own classes, at the radius at which a linear one would lose half of them."""
  monkeypatch.syspath_prepend(str(request.config.rootpath / "benchmarks"))
  import torch_autoattack

  shared = request.config.rootpath.parent / "shared" / "data" / "tensorflow_datasets"
  folder = os.environ.get("TFDS_DATA_DIR", shared)
  try:
    dataset = data.load("cifar10", data_dir=str(folder))
  except FileNotFoundError as error:
    pytest.skip(str(error))
  x = dataset.to_float(dataset.test.x[:50])
  images = torch.tensor(x).permute(0, 3, 1, 2)
  network = published(seeded(PublishedWRN, 10, 1), images)
  logits = network(images.requires_grad_())
  best, second = logits.topk(2).values.T
  [slopes] = torch.autograd.grad((best - second).sum(), images)
  radii = (best - second).detach() / slopes.abs().sum((1, 2, 3))
  y, epsilon = logits.argmax(1).numpy(), float(radii.median())

  theirs = torch_autoattack.robust(
    network, x, y, norm="linf", epsilon=epsilon, seed=0, classes=4, steps=20, queries=200
  )
  settings = {"targets": 3, "steps": 20, "queries": 200}
  attacks = autoattack_members(10, norm="linf", epsilon=epsilon, **settings)
  ours = run_attacks(
    jax.random.key(0),
    to_ours(network, tmp_path).logits_fn,
    x,
    y,
    attacks=attacks,
    norm="linf",
    epsilon=epsilon,
  )
  print(f"epsilon {epsilon}: ours {ours.robust.sum()}, theirs {theirs.sum()} of {len(y)} robust")
  assert 5 < theirs.sum() < 45
  assert np.count_nonzero(ours.robust != theirs) <= 1
  assert not ours.outside.any()
