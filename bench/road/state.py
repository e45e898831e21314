"""States to save: so many bytes in so many tensors, equal or skewed like a transformer's, all resident."""

import torch


def tensors(byte_length, count, seed=1):
    """float32 tensors of byte_length bytes in all; sizes vary by a factor of about 16 around their mean."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.exp(torch.randn(count, generator=generator, dtype=torch.float64) * 0.8)
    sizes = (weights / weights.sum() * (byte_length // 4)).long().clamp(min=1)
    sizes[0] += byte_length // 4 - int(sizes.sum())
    state = {}
    for i, size in enumerate(sizes.tolist()):
        tensor = torch.empty(size, dtype=torch.float32)
        tensor.fill_(0.01 * (i + 1))
        state[f"layers.{i}.weight"] = tensor
    return state


def change(state):
    """Changes a few bytes of every tensor, as training does: what stays the same is not written again."""
    for tensor in state.values():
        tensor[:1] += 1


def flat_bytes(state):
    return sum(t.numel() * t.element_size() for t in state.values())
