"""Arrays over the devices of one process or several: `python jax_scenes.py STORE DEVICES [PROCESSES PROCESS PORT]`."""

from __future__ import annotations

import os
import sys

STORE, DEVICES = sys.argv[1], int(sys.argv[2])
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402
from keepstone import Checkpointer  # noqa: E402

WHOLES = {
    "rows": (np.arange(48, dtype="f4").reshape(8, 6), P("x")),
    "columns": (np.arange(48, dtype="i4").reshape(6, 8), P(None, "y")),
    "grid": (np.arange(64, dtype="f4").reshape(8, 8), P("x", "y")),
    "turned": (np.arange(64, dtype="u1").reshape(8, 8), P("y", "x")),
    "together": (np.arange(16, dtype="f4"), P(("x", "y"))),
    "everywhere": (np.arange(5, dtype="f4"), P()),
    "scalar": (np.float32(2.5), P()),
    "flags": (np.arange(8) % 3 == 0, P("x")),
    "brain": (np.arange(16).astype(jnp.bfloat16), P("y")),
    "none": (np.zeros((0, 4), "f4"), P()),
}


def main() -> None:
    if len(sys.argv) > 3:
        processes, process, port = map(int, sys.argv[3:6])
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
    mesh = Mesh(np.array(jax.devices()).reshape(-1, 2), ("x", "y"))
    assert mesh.size == 8
    state = {
        name: jax.make_array_from_callback(
            np.shape(whole),
            NamedSharding(mesh, spec),
            lambda index, whole=whole: whole[index],
        )
        for name, (whole, spec) in sorted(WHOLES.items())  # jax.jit gives dicts back in this order
    }
    double = jax.jit(lambda tree: jax.tree.map(lambda x: x + x, tree))
    with Checkpointer(STORE, "run") as ckpt:
        for step in (1, 2):
            saved = ckpt.save(step, {"params": state, "step": step}, wait=True)
            assert saved.replanned == (step == 1), (
                "new arrays of the same form are no new layout"
            )
            if step == 1:
                state = double(state)
    print(jax.process_index(), saved.bytes)


if __name__ == "__main__":
    main()
