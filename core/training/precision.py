"""Which arithmetic to train in."""

import torch


def autocast(device: str | torch.device) -> torch.autocast:
    """16-bit arithmetic where it is quicker: on graphics cards, and on processors that have it. On others it would be
    imitated, and recurrent layers would fail in it."""
    kind = torch.device(device).type
    quicker = kind != "cpu" or getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.autocast(kind, torch.bfloat16, enabled=quicker)
