"""(a) What save() costs the trainer, against one memory copy of the same bytes into the same resident segment."""

import os
import shutil
import time

import raw
import torch
from figures import Table, ratios, spread
from segment_view import SegmentView
from state import change, flat_bytes, tensors

import keepstone

PER_TENSOR_SECONDS = 2e-6
FIXED_SECONDS = 2e-3


def run(folder, rounds, sizes, counts, results):
    ours = Table(
        "Stall: save() against one memory copy of the same bytes into the same segment",
        ["state", "tensors", "copy, 1 thread ms", "copy, 2 threads ms", "save() ms", "(save − 2 µs/tensor − 2 ms) / copy", "save / 2-thread copy"],
    )
    peers = Table(
        "Stall: peers on the same state (our segment freed before)",
        ["state", "tensors", "torch.save ms", "dcp.async_save, thread: blocked ms", "dcp.async_save, process: blocked ms"],
    )
    # Peers last: a process that async_save has started stays, and takes a core's time from whoever comes after.
    for table, measure, times in ((ours, measure_ours, rounds), (peers, measure_peers, max(3, rounds // 3))):
        for gib in sizes:
            for count in counts:
                table.row(f"{gib:g} GiB", count, *measure(os.path.join(folder, "stall"), tensors(int(gib * 2**30), count), times))
        table.write(results)


def measure_ours(store, state, rounds):
    shutil.rmtree(store, ignore_errors=True)
    bytes_ = flat_bytes(state)
    source = raw.resident(bytes_)
    one, two, save = [], [], []
    with keepstone.Checkpointer(store, run="bench", every="1steps", keep_last=2, resume="never", rng=False, budget=3 * bytes_) as ckpt:
        for step in range(1, 4):
            ckpt.save(step, {"model": state}, wait=True)
        view = SegmentView(os.environ["KEEPSTONE_AGENT_DIR"])
        for step in range(4, 4 + rounds):
            at, length = view.data_address()
            one.append(raw.copy_seconds(at, raw.address(source), length))
            two.append(raw.copy_seconds(at, raw.address(source), length, threads=2))
            change(state)
            begin = time.perf_counter()
            saved = ckpt.save(step, {"model": state})
            save.append(time.perf_counter() - begin)
            saved.wait()
            assert not saved.replanned
            time.sleep(0.2)
        del view
    shutil.rmtree(store)
    allowance = len(state) * PER_TENSOR_SECONDS + FIXED_SECONDS
    net = [s - allowance for s in save]
    ms = lambda values: spread([v * 1e3 for v in values], 1)
    return ms(one), ms(two), ms(save), spread(ratios(net, one)), spread(ratios(save, two))


def measure_peers(folder, state, rounds):
    import torch.distributed
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType

    if not torch.distributed.is_initialized():  # the process form of async_save wants a group, also of one
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    plain, thread, process = [], [], []
    for i in range(rounds):
        for name, into in (("save", plain), ("thread", thread), ("process", process)):
            target = os.path.join(folder, f"{name}-{i}")
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(target)
            begin = time.perf_counter()
            if name == "save":
                torch.save(state, os.path.join(target, "state.pt"))
                into.append(time.perf_counter() - begin)
            else:
                kind = AsyncCheckpointerType.THREAD if name == "thread" else AsyncCheckpointerType.PROCESS
                future = dcp.async_save({"model": state}, checkpoint_id=target, async_checkpointer_type=kind)
                into.append(time.perf_counter() - begin)
                (future.upload_completion if hasattr(future, "upload_completion") else future).result()
            shutil.rmtree(target)
    ms = lambda values: spread([v * 1e3 for v in values], 1)
    return ms(plain), ms(thread), ms(process)
