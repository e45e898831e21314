"""Trains a small network whose parameters are sharded over several devices, killed whenever you like, on any number of them.

    python examples/jax/train.py --store ./ckpts --devices 8 --steps 200

Kill it at any moment (also with kill -9) and start it again: it goes on where the last checkpoint stands. With the same number of devices every further
loss is, bit for bit, the one that an uninterrupted run prints; with another number the arrays come back in the new sharding, with the same bits.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

import jax
import keepstone
import numpy as np

LENGTH, BATCH = 16, 32
WIDTH = 64


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default="./ckpts")
    parser.add_argument("--run", default="jax-example")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", default="10steps")
    parser.add_argument("--devices", type=int, default=8, help="so many devices of the host's processor")
    return parser.parse_args()


def layouts() -> tuple[Any, dict[str, Any]]:
    """The mesh, and how each parameter lies on it: rows over the devices, or a copy on each."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("devices"))
    copies = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return mesh, {"embed": rows, "inner": rows, "outer": rows, "scale": copies}


def training(seed: int = 0) -> dict[str, Any]:
    """All that a checkpoint of this training consists of."""
    _, shardings = layouts()
    keys = jax.random.split(jax.random.key(seed), 3)
    values = {
        "embed": jax.random.normal(keys[0], (256, WIDTH)) * 0.1,
        "inner": jax.random.normal(keys[1], (LENGTH * WIDTH, 4 * WIDTH)) * 0.02,
        "outer": jax.random.normal(keys[2], (4 * WIDTH, 256), jax.numpy.bfloat16) * 0.05,
        "scale": jax.numpy.ones(()),
    }
    params = {name: jax.device_put(value, shardings[name]) for name, value in values.items()}
    zeros = {name: jax.device_put(np.zeros(value.shape, np.float32), shardings[name]) for name, value in values.items()}
    return {"params": params, "adam": {"m": zeros, "v": dict(zeros), "count": jax.numpy.zeros((), jax.numpy.int32)}}


def loss_of(params: dict[str, Any], tokens: Any, following: Any) -> Any:
    x = params["embed"][tokens].reshape(tokens.shape[0], -1)
    x = jax.numpy.tanh(x @ params["inner"]) * params["scale"]
    logits = x @ params["outer"].astype(jax.numpy.float32)
    picked = jax.numpy.take_along_axis(jax.nn.log_softmax(logits), following[:, None], axis=1)
    return -picked.mean()


@jax.jit
def update(params: dict[str, Any], adam: dict[str, Any], tokens: Any, following: Any) -> tuple[Any, Any, Any]:
    loss, grads = jax.value_and_grad(loss_of)(params, tokens, following)
    count = adam["count"] + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g.astype(m.dtype), adam["m"], grads)
    v = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g.astype(v.dtype) ** 2, adam["v"], grads)

    def step(p: Any, m: Any, v: Any) -> Any:
        return (p - 0.003 * (m / (1 - 0.9**count)) / (jax.numpy.sqrt(v / (1 - 0.99**count)) + 1e-8)).astype(p.dtype)

    return jax.tree.map(step, params, m, v), {"m": m, "v": v, "count": count}, loss


def batch(text: Any, step: int) -> tuple[Any, Any]:
    """The windows of a step: drawn by its number alone, so that no loader has a place to remember."""
    places = np.random.default_rng([7, step]).integers(0, len(text) - LENGTH, BATCH)
    return np.stack([text[place : place + LENGTH] for place in places]), text[places + LENGTH]


def main() -> None:
    given = options()
    jax.config.update("jax_num_cpu_devices", given.devices)
    text = np.frombuffer(pathlib.Path(__file__).read_bytes(), np.uint8).astype(np.int32)
    state = training()
    with keepstone.Checkpointer(given.store, run=given.run, every=given.every) as ckpt:
        at = ckpt.restore(state)
        if at is not None:
            print(f"restored step {at.step} from {at.source}", flush=True)
        for step in range(at.step if at is not None else 0, given.steps):
            state["params"], state["adam"], loss = update(state["params"], state["adam"], *batch(text, step))
            print(f"step {step + 1} loss {float(loss).hex()}", flush=True)
            ckpt.step(step + 1, state, metrics={"loss": float(loss)})
        ckpt.save(given.steps, state)


if __name__ == "__main__":
    main()
