"""Trains a small language model that is sharded over several processes, killed whenever you like, on any number of them.

    torchrun --nproc-per-node 3 examples/pytorch/train_fsdp.py --store ./ckpts --steps 200

Kill one process or all of them at any moment (also with kill -9) and start it again with the same words: it goes on where the last checkpoint stands, and
every further loss is, bit for bit, the one that an uninterrupted run prints. Start it again with another --nproc-per-node, and it goes on with the same
parameters, the same optimizer state, and the same place in the data.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

import keepstone
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, Dataset, DistributedSampler

LENGTH = 32
GLOBAL_BATCH = 24  # divided among the processes, so that a step means the same on any number of them


class Text(Dataset[tuple[Tensor, Tensor]]):
    """Windows of bytes, and the same windows one byte later."""

    def __init__(self, path: pathlib.Path) -> None:
        self.bytes = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8).long()

    def __len__(self) -> int:
        return (len(self.bytes) - 1) // LENGTH

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        window = self.bytes[index * LENGTH : (index + 1) * LENGTH + 1]
        return window[:-1], window[1:]


class Model(nn.Module):
    """A transformer of two layers that predicts the next byte."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Embedding(256, width)
        self.place = nn.Parameter(torch.zeros(LENGTH, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.1, batch_first=True, norm_first=True)
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 256, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        x = self.token(tokens) + self.place
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.head(self.norm(x))


def training(width: int) -> dict[str, Any]:
    """All that a checkpoint of this training consists of."""
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(1234)  # the same parameters everywhere
    model = Model(width)
    mesh = init_device_mesh("cpu", (world,))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    torch.manual_seed(1234 + rank)  # and other dropout on every process

    data = Text(pathlib.Path(__file__))
    sampler = DistributedSampler(data, world, rank, seed=1, drop_last=True)
    loader = keepstone.Loader(DataLoader(data, GLOBAL_BATCH // world, sampler=sampler, drop_last=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=10_000)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader, "epoch": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default="./ckpts")
    parser.add_argument("--run", default="fsdp-example")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", default="10steps")
    parser.add_argument("--width", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(1)  # the number of threads changes the last bits of a sum
    dist.init_process_group("gloo")
    state = training(given.width)
    model, optimizer, scheduler, loader = (state[name] for name in ("model", "optimizer", "scheduler", "loader"))

    def say(text: str) -> None:
        if dist.get_rank() == 0:
            print(text, flush=True)

    with keepstone.Checkpointer(given.store, run=given.run, every=given.every) as ckpt:
        at = ckpt.restore(state)
        if at is not None:
            say(f"restored step {at.step} from {at.source}")
        step = at.step if at is not None else 0
        while step < given.steps:
            loader.sampler.set_epoch(state["epoch"])
            for tokens, following in loader:
                loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                step += 1
                say(f"step {step} loss {loss.item().hex()}")
                ckpt.step(step, state, metrics={"loss": loss.detach()})
                if step == given.steps:
                    break
            else:
                state["epoch"] += 1
        ckpt.save(step, state)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
