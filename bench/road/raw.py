"""The raw limits that Keepstone is measured against: a memory copy, a direct write, a direct read. Nothing of Keepstone."""

import ctypes
import mmap
import os
import threading
import time

BLOCK = 8 << 20
MADV_POPULATE_WRITE = 23

_libc = ctypes.CDLL(None, use_errno=True)
_libc.memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def resident(byte_length):
    """Anonymous memory, page-aligned and faulted in."""
    memory = mmap.mmap(-1, byte_length)
    populate(memory)
    return memory


def populate(memory):
    if _libc.madvise(address(memory), len(memory), MADV_POPULATE_WRITE) != 0:
        raise OSError(ctypes.get_errno(), "madvise")


def address(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def copy_seconds(target, source, byte_length, threads=1):
    """Seconds of one memmove of byte_length bytes between two addresses, split over threads."""
    part = byte_length // threads
    workers = [
        threading.Thread(target=_libc.memmove, args=(target + i * part, source + i * part, part))
        for i in range(1, threads)
    ]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    _libc.memmove(target, source, part)
    for worker in workers:
        worker.join()
    return time.perf_counter() - begin


def _in_blocks(byte_length, threads, act):
    def run(first):
        for at in range(first * BLOCK, byte_length, threads * BLOCK):
            act(at, min(BLOCK, byte_length - at))

    workers = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def direct_write_seconds(path, memory, byte_length, threads=2):
    """Seconds to write byte_length bytes (a multiple of 4096) to a new file around the page cache, fsync included."""
    view = memoryview(memory)
    begin = time.perf_counter()
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_DIRECT, 0o644)
    try:
        os.posix_fallocate(fd, 0, byte_length)
        _in_blocks(byte_length, threads, lambda at, n: os.pwrite(fd, view[at : at + n], at))
        os.fsync(fd)
    finally:
        os.close(fd)
        view.release()
    return time.perf_counter() - begin


def direct_read_seconds(paths, threads=4):
    """Seconds to read files around the page cache into resident 8 MiB buffers, one per thread."""
    buffers = [resident(BLOCK) for _ in range(threads)]
    begin = time.perf_counter()
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            _in_blocks(os.path.getsize(path), threads, lambda at, n: os.preadv(fd, [buffers[at // BLOCK % threads]], at))
        finally:
            os.close(fd)
    return time.perf_counter() - begin


def direct_copy_seconds(source, target, threads=4):
    """Seconds to copy a file around the page cache, block by block, fsync included."""
    buffers = [resident(BLOCK) for _ in range(threads)]
    length = os.path.getsize(source)
    begin = time.perf_counter()
    fd_in = os.open(source, os.O_RDONLY | os.O_DIRECT)
    fd_out = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_DIRECT, 0o644)

    def block(at, n):
        buffer = buffers[at // BLOCK % threads]
        os.preadv(fd_in, [buffer], at)
        padded = -(-n // 4096) * 4096
        os.pwritev(fd_out, [memoryview(buffer)[:padded]], at)

    try:
        os.posix_fallocate(fd_out, 0, length)
        _in_blocks(length, threads, block)
        os.ftruncate(fd_out, length)
        os.fsync(fd_out)
    finally:
        os.close(fd_in)
        os.close(fd_out)
    return time.perf_counter() - begin


def drop_from_cache(path):
    """Makes the next buffered read of a file a cold one."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
