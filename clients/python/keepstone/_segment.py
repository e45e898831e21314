"""The client's side of a segment: the mapping, the agent's record, the seal (docs/spec/segment.md)."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import struct
import threading
import time
import zlib
from typing import Any, Optional

from . import _dtypes
from ._errors import IntegrityError

_MAGIC = b"KSTNSEG1"
_AGENT_MAGIC = b"KSTNAGT1"
_SEAL_MAGIC = b"KSTNSEAL"
_AGENT_RECORDS = (4096, 8192)
_SEALS = 12288
_PROGRESS = 77824
_PAGE = 4096
_POPULATE_WRITE = 23


class Segment:
    """One registered layout's shared memory, mapped for writing."""

    def __init__(self, path: str) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size < _SEALS + 16 * _PAGE:
                raise IntegrityError(f"a segment of {size} bytes is too short for its head", path)
            self.map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._read_head(size)
        self._populated = threading.Thread(target=self._populate, name="keepstone-populate", daemon=True)
        self._populated.start()

    def _read_head(self, size: int) -> None:
        head = self.map[:72]
        magic, version, self.slots = struct.unpack_from("<8sII", head)
        numbers = struct.unpack_from("<QQQQQQ", head, 16)
        file_bytes, _, self.slot_offset, self.slot_stride, self.state_capacity, self.slot_bytes = numbers
        (crc,) = struct.unpack_from("<I", head, 68)
        if magic != _MAGIC or version != 1 or zlib.crc32(head[:68]) != crc or file_bytes != size:
            raise IntegrityError("the segment's head is not one of version 1 or does not match its checksum", self.path)
        if self.slot_offset + self.slots * self.slot_stride > size or self.slot_bytes > self.slot_stride:
            raise IntegrityError("the segment's slots reach beyond its end", self.path)

    def _populate(self) -> None:
        # Through ctypes, which lets go of the interpreter's lock: mmap.madvise would stop the trainer for 0.3 s per GiB.
        with contextlib.suppress(OSError, AttributeError, BufferError):
            anchor = ctypes.c_char.from_buffer(self.map)
            libc = ctypes.CDLL(None, use_errno=True)
            libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
            libc.madvise(ctypes.addressof(anchor), len(self.map), _POPULATE_WRITE)
            del anchor

    def populated(self) -> None:
        """Waits until the pages of the mapping are there."""
        self._populated.join()

    def _record(self) -> Optional[tuple[int, int, int, int]]:
        """Sequence, lent slot, lent generation and due step of the newer copy of the agent's record that is whole."""
        best: Optional[tuple[int, int, int, int]] = None
        for at in _AGENT_RECORDS:
            record = self.map[at : at + 172]
            magic, sequence, slot, _, generation = struct.unpack_from("<8sQiIQ", record)
            due, crc = struct.unpack_from("<QI", record, 160)
            if magic == _AGENT_MAGIC and zlib.crc32(record[:168]) == crc and (best is None or sequence > best[0]):
                best = (sequence, slot, generation, due)
        return best

    def lent(self) -> Optional[tuple[int, int]]:
        """Slot and generation that the agent lends now."""
        record = self._record()
        return record[1:3] if record is not None and 0 <= record[1] < self.slots else None

    def due(self) -> int:
        """The step that every rank saves because somebody asked, or 0."""
        record = self._record()
        return 0 if record is None else record[3]

    def progress(self, step: int) -> None:
        """Tells the agent how many steps are done: one aligned store, no round trip."""
        self.map[_PROGRESS : _PROGRESS + 8] = step.to_bytes(8, "little")

    def slot_at(self, slot: int) -> int:
        return int(self.slot_offset + slot * self.slot_stride)

    def write_state(self, slot: int, state: bytes) -> None:
        at = self.slot_at(slot)
        self.map[at : at + len(state)] = state

    def seal(self, slot: int, generation: int, step: int, state: bytes, stall_ns: int) -> None:
        """Declares the slot complete: one slice assignment, after everything else in it."""
        body = struct.pack(
            "<8sQQQIIQQQ",
            _SEAL_MAGIC,
            generation,
            step,
            len(state),
            zlib.crc32(state),
            slot,
            time.time_ns(),
            stall_ns,
            0,
        )
        at = _SEALS + _PAGE * slot
        self.map[at : at + 128] = body + struct.pack("<I", zlib.crc32(body)) + bytes(60)

    def close(self) -> None:
        """Lets go of the mapping; views of it that are still alive keep it until they go."""
        self.populated()
        with contextlib.suppress(BufferError):
            self.map.close()


def view(memory: Any, at: int, dtype: str, shape: tuple[int, ...], size: int) -> Any:
    """A torch tensor over stored bytes, in torch's spelling of type and shape."""
    torch = _dtypes.torch()
    wanted = _dtypes.to_torch(dtype)
    if wanted is None:
        raise IntegrityError(f"this torch has no dtype for {dtype}")
    shape = _dtypes.torch_shape(dtype, shape)
    if size == 0:
        return torch.empty(shape, dtype=wanted)
    return torch.frombuffer(memory, dtype=torch.uint8, count=size, offset=at).view(wanted).view(shape)


def array(memory: Any, at: int, dtype: str, shape: tuple[int, ...], size: int) -> Any:
    """A NumPy array over stored bytes."""
    numpy = _dtypes.numpy()
    name = _dtypes.TYPES[dtype][2] if dtype in _dtypes.TYPES else None
    if name is None:
        raise IntegrityError(f"NumPy has no dtype for {dtype}")
    return numpy.frombuffer(memory, dtype=name, count=size // numpy.dtype(name).itemsize, offset=at).reshape(shape)
