"""How often XLA compiles, by JAX's own count."""

import contextlib

from jax import monitoring


@contextlib.contextmanager
def compilations():
  """A list that grows by one for each program that XLA compiles meanwhile."""
  found = []

  def listen(event, duration, **_):
    if event == "/jax/core/compile/backend_compile_duration":
      found.append(duration)

  monitoring.register_event_duration_secs_listener(listen)
  try:
    yield found
  finally:
    monitoring.unregister_event_duration_listener(listen)
