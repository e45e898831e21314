"""Trains a small language model on its own source text, killed whenever you like.

    python examples/pytorch/train.py --store ./ckpts --steps 200

Kill it at any moment (also with kill -9) and start it again with the same words: it goes on where the last checkpoint stands, and every further loss is,
bit for bit, the one that an uninterrupted run prints.
"""

from __future__ import annotations

import argparse
import pathlib
import random

import keepstone
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Text(Dataset[tuple[Tensor, Tensor]]):
    """Windows of bytes, and the same windows one byte later."""

    def __init__(self, path: pathlib.Path, length: int) -> None:
        self.bytes = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8).long()
        self.length = length

    def __len__(self) -> int:
        return (len(self.bytes) - 1) // self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        begin = index * self.length
        window = self.bytes[begin : begin + self.length + 1]
        return window[:-1], window[1:]


class Model(nn.Module):
    """A transformer of two layers that predicts the next byte."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.token = nn.Embedding(256, width)
        self.place = nn.Parameter(torch.zeros(length, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 256, bias=False)
        nn.init.normal_(self.token.weight, std=0.02)
        self.head.weight = self.token.weight  # tied, as in most language models

    def forward(self, tokens: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.layers(self.token(tokens) + self.place, mask=mask, is_causal=True))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default="./ckpts")
    parser.add_argument("--run", default="example")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", default="10steps")
    parser.add_argument("--width", type=int, default=64)
    return parser.parse_args()


def main() -> None:
    given = options()
    torch.set_num_threads(1)  # the number of threads changes the last bits of a sum
    torch.manual_seed(1234)
    random.seed(1234)

    length = 64
    model = Model(given.width, length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=max(given.steps, 1000))
    loader = keepstone.Loader(DataLoader(Text(pathlib.Path(__file__), length), batch_size=8, shuffle=True))
    state = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader, "bytes_seen": 0}

    with keepstone.Checkpointer(given.store, run=given.run, every=given.every) as ckpt:
        at = ckpt.restore(state)
        if at is not None:
            print(f"restored step {at.step} from {at.source}", flush=True)
        step = at.step if at is not None else 0
        while step < given.steps:
            for tokens, following in loader:
                loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                step += 1
                state["bytes_seen"] += tokens.numel()
                print(f"step {step} loss {loss.item().hex()}", flush=True)
                ckpt.step(step, state, metrics={"loss": loss.detach()})
                if step == given.steps:
                    break
        ckpt.save(step, state)


if __name__ == "__main__":
    main()
