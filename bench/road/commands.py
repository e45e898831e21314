"""Commands in fresh processes: import, deep verify and inspect, each with the raw limit of the same bytes and its memory."""

import glob
import json
import os
import shutil
import struct
import subprocess
import threading
import time

import raw
from figures import Table, ratios, spread
from state import flat_bytes, tensors


def keepstone(*arguments):
    """Runs the command; the document it printed, its seconds from start to end, its peak of resident bytes."""
    command = [os.path.join(os.environ["KEEPSTONE_HOME"], "keepstone"), *arguments, "--json"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    resident = Resident(process.pid)
    out = process.stdout.read()
    process.wait()
    seconds = time.perf_counter() - begin
    document = json.loads(out)
    assert document["ok"], document
    return document, seconds, resident.most


class Resident(threading.Thread):
    """Watches the peak of a process. What the system tells of an ended one counts the program before its exec, too: us."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.most = 0
        self.start()

    def run(self):
        while True:
            try:
                with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
                    lines = dict(line.split(":", 1) for line in status)
                if "java" in lines["Name"]:
                    self.most = int(lines["VmHWM"].split()[0]) * 1024
            except (FileNotFoundError, ProcessLookupError, KeyError):
                return
            time.sleep(0.01)


def write_source(folder, gib):
    """A file as others write it: its data begins wherever the header ends."""
    from safetensors.torch import save_file

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    path = os.path.join(folder, "source.safetensors")
    state = tensors(int(gib * 2**30), 300)
    bytes_ = flat_bytes(state)
    save_file(state, path)
    return path, bytes_


def cp_seconds(source, target):
    begin = time.perf_counter()
    subprocess.run(["cp", "--reflink=never", source, target], check=True)
    fd = os.open(target, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    return time.perf_counter() - begin


def import_(folder, rounds, gib, results):
    source, bytes_ = write_source(folder, gib)
    target, store = os.path.join(folder, "copy"), os.path.join(folder, "ckpts")
    cp, copy, ours, memory = [], [], [], []
    for _ in range(rounds):
        raw.drop_from_cache(source)
        cp.append(cp_seconds(source, target))
        os.remove(target)
        raw.drop_from_cache(source)
        copy.append(raw.direct_copy_seconds(source, target))
        os.remove(target)
        raw.drop_from_cache(source)
        _, seconds, resident = keepstone("import", source, f"{store}/bench")
        ours.append(seconds)
        memory.append(resident)
        shutil.rmtree(store)
    rate = lambda values: spread([bytes_ / v / 1e9 for v in values])
    table = Table(
        "Import of a foreign file, a fresh process from start to end, against cp and fsync and the raw direct copy",
        ["file", "cp + fsync GB/s", "raw direct copy GB/s", "import GB/s", "import / cp", "import / raw", "resident MiB, most"],
    )
    table.row(
        f"{gib:g} GiB", rate(cp), rate(copy), rate(ours), spread(ratios(cp, ours)), spread(ratios(copy, ours)), max(memory) >> 20
    )
    table.write(results)
    shutil.rmtree(folder)


def verify(folder, rounds, gib, results):
    source, bytes_ = write_source(folder, gib)
    store = os.path.join(folder, "ckpts")
    keepstone("import", source, f"{store}/bench")
    os.remove(source)
    shards = glob.glob(os.path.join(store, "bench", "checkpoints", "*", "*.safetensors"))
    read, ours, whole, memory = [], [], [], []
    for _ in range(rounds):
        read.append(raw.direct_read_seconds(shards))
        for path in shards:
            raw.drop_from_cache(path)
        document, seconds, resident = keepstone("verify", f"{store}/bench", "--deep")
        ours.append(document["seconds"])
        whole.append(seconds)
        memory.append(resident)
    rate = lambda values: spread([bytes_ / v / 1e9 for v in values])
    table = Table(
        "Deep verify, cold, against the raw direct read by four threads",
        ["state", "raw read GB/s", "verify GB/s", "verify / raw", "with the start of the process / raw", "resident MiB, most"],
    )
    table.row(
        f"{gib:g} GiB", rate(read), rate(ours), spread(ratios(read, ours)), spread(ratios(read, whole)), max(memory) >> 20
    )
    table.write(results)
    shutil.rmtree(folder)


def inspect(folder, rounds, count, results):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    path = os.path.join(folder, "many.safetensors")
    entries = (
        f'"model.layers.{i:07}.self_attention.weight":{{"dtype":"F32","shape":[4,8],"data_offsets":[{128 * i},{128 * i + 128}]}}'
        for i in range(count)
    )
    header = ("{" + ",".join(entries) + "}").encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(128 * count))
    seconds, memory = [], []
    for _ in range(rounds):
        document, took, resident = keepstone("inspect", path)
        assert len(document["tensors"]) == count
        seconds.append(took)
        memory.append(resident)
    table = Table(
        "Inspect of a file of many tensors, a fresh process from start to end, its JSON taken",
        ["tensors", "seconds", "resident MiB, most"],
    )
    table.row(f"{count:,}", spread(seconds), max(memory) >> 20)
    table.write(results)
    shutil.rmtree(folder)
