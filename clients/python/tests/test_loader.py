"""The data position: eight loader configurations saved in mid-epoch, and what is refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from fake_agent import FakeAgent
from torch.utils.data import DataLoader, Dataset, IterableDataset

import keepstone
from keepstone import Checkpointer, Loader, Refused


class Numbers(Dataset):
    """Ten numbers; with `noisy`, each draw is augmented from all three random generators."""

    def __init__(self, noisy: bool = False, count: int = 10) -> None:
        self.noisy, self.count = noisy, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        noise = torch.rand(()).item() + random.random() if self.noisy else 0.0
        return torch.tensor(index + noise)


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "workers": {"num_workers": 2},
    "own generator": {"own": True},
    "own generator, workers": {"own": True, "num_workers": 2},
    "augmented": {"noisy": True},
    "augmented, workers, own generator": {"noisy": True, "num_workers": 2, "own": True},
    "persistent workers": {"num_workers": 2, "persistent_workers": True},
    "augmented, persistent workers": {"noisy": True, "num_workers": 2, "persistent_workers": True},
}


def loader_of(noisy: bool = False, own: bool = False, **options: Any) -> Loader:
    generator = torch.Generator().manual_seed(11) if own else None
    context = {"multiprocessing_context": "fork"} if options.get("num_workers") else {}
    return Loader(DataLoader(Numbers(noisy), batch_size=2, shuffle=True, generator=generator, **context, **options))


def run(loader: Loader, batches: int, seen: list[Any], at: Any = None) -> None:
    """Trains over epochs of five batches until `batches` more were seen; draws once a batch, as dropout does."""
    left = batches
    while left:
        for batch in loader:
            seen.append((batch.tolist(), torch.rand(()).item(), np.random.rand()))
            left -= 1
            if at is not None:
                at(len(seen))
            if not left:
                return


# Workers are slow to start, so their configurations are saved at fewer moments.
CASES = [
    (name, moment)
    for name, options in CONFIGURATIONS.items()
    for moment in ((3, 5, 7) if options.get("num_workers") else (1, 3, 5, 7, 8))
]


@pytest.mark.parametrize(("name", "moment"), CASES)
def test_data_after_a_restore_is_that_of_the_uninterrupted_run(one_fake: FakeAgent, name: str, moment: int) -> None:
    options = CONFIGURATIONS[name]
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    loader = loader_of(**options)
    expected: list[Any] = []
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        run(loader, 12, expected, lambda count: ckpt.save(count, {"loader": loader}) if count == moment else None)
    torch.manual_seed(2)
    np.random.seed(2)
    random.seed(2)
    again = loader_of(**options)
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        restored = ckpt.restore({"loader": again})
    assert restored is not None and restored.step == moment
    seen: list[Any] = []
    run(again, 12 - moment, seen)
    warned = any("persistent workers" in warning for warning in restored.warnings)
    if name == "augmented, persistent workers" and moment > 5:
        assert warned
        return
    assert not warned or name == "persistent workers"
    assert seen == expected[moment:]


def test_a_loader_saved_at_the_end_of_an_epoch_begins_the_next(one_fake: FakeAgent) -> None:
    for own in (False, True):
        torch.manual_seed(1)
        loader = loader_of(own=own)
        assert len(list(loader)) == 5
        with Checkpointer("/tmp/ks-fake", f"run{own}", resume="never") as ckpt:
            ckpt.save(5, {"loader": loader})
        expected = [batch.tolist() for batch in loader]
        torch.manual_seed(3)
        again = loader_of(own=own)
        with Checkpointer("/tmp/ks-fake", f"run{own}") as ckpt:
            ckpt.restore({"loader": again})
        assert [batch.tolist() for batch in again] == expected


def test_two_loaders_in_mid_epoch_are_refused_and_one_is_not(one_fake: FakeAgent) -> None:
    train, valid = loader_of(), loader_of()
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        for _ in train:
            list(valid)
            ckpt.save(1, {"train": train, "valid": {"loader": valid}})
            break
        next(iter(valid))
        with pytest.raises(Refused) as refused:
            ckpt.save(2, {"train": train, "valid": {"loader": valid}})
        assert 'state["train"]' in str(refused.value)


def test_a_bare_data_loader_is_refused_with_the_hint(one_fake: FakeAgent) -> None:
    with (
        Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt,
        pytest.raises(Refused, match="has no state of its own") as refused,
    ):
        ckpt.save(1, {"data": [DataLoader(Numbers())]})
    assert refused.value.on == 'state["data"][0]'


def test_a_stateful_data_loader_is_used_as_it_is(one_fake: FakeAgent) -> None:
    torchdata = pytest.importorskip("torchdata.stateful_dataloader")
    with pytest.raises(Refused, match="as it is"):
        Loader(torchdata.StatefulDataLoader(Numbers()))
    torch.manual_seed(1)
    loader = torchdata.StatefulDataLoader(Numbers(), batch_size=2, shuffle=True)
    batches = iter(loader)
    next(batches)
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        ckpt.save(1, {"loader": loader})
    expected = [batch.tolist() for batch in batches]
    torch.manual_seed(4)
    again = torchdata.StatefulDataLoader(Numbers(), batch_size=2, shuffle=True)
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.restore({"loader": again})
    assert [batch.tolist() for batch in again] == expected


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        while True:
            yield torch.rand(())


def test_an_endless_stream_is_skipped_to_its_position(one_fake: FakeAgent) -> None:
    torch.manual_seed(1)
    loader = Loader(DataLoader(Endless(), batch_size=2))
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        ckpt.save(3, {"loader": loader})
    expected = [next(batches).tolist() for _ in range(3)]
    again = Loader(DataLoader(Endless(), batch_size=2))
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.restore({"loader": again})
    batches = iter(again)
    assert [next(batches).tolist() for _ in range(3)] == expected


def test_less_data_than_the_saved_position_is_refused(one_fake: FakeAgent) -> None:
    loader = loader_of()
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    with Checkpointer("/tmp/ks-fake", "run", resume="never") as ckpt:
        ckpt.save(4, {"loader": loader})
    again = Loader(DataLoader(Numbers(count=2), batch_size=2, shuffle=True))
    with Checkpointer("/tmp/ks-fake", "run") as ckpt:
        ckpt.restore({"loader": again})
    with pytest.raises(Refused, match="ended after 1"):
        next(iter(again))


def test_a_loader_looks_like_what_it_wraps() -> None:
    loader = loader_of()
    assert len(loader) == 5 and loader.batch_size == 2 and isinstance(loader.dataset, Numbers)
    with pytest.raises(Refused, match="iterator"):
        Loader(iter([1]))
    assert [*keepstone.Loader([1, 2])] == [1, 2]
