"""Peak FLOP/s of cards, from their vendors' data sheets: the denominator of model FLOPs utilisation (MFU)."""

from __future__ import annotations

import re

import torch

from s2h.models.settings import Precision

_PEAKS: tuple[tuple[str, float, float | None], ...] = (
    ("NVIDIA (H100 80GB HBM3|H100 SXM.*|H800)", 989.5, 66.9),
    ("NVIDIA H100 PCIe", 756.5, 51.2),
    ("NVIDIA H(100|200) NVL", 835.5, 60.0),
    ("NVIDIA H200", 989.5, 66.9),
    ("NVIDIA GH200 .*", 989.5, 66.9),
    ("NVIDIA H20", 148.0, 44.0),
    ("NVIDIA (B200|B300)( SXM.*)?", 2250.0, None),
    ("NVIDIA (GB200|GB300)", 2500.0, None),
    ("NVIDIA (A100|A800)[- ].*GB( PCIe)?", 312.0, 19.5),
    ("NVIDIA A30", 165.0, 10.3),
    ("NVIDIA A40", 149.7, 37.4),
    ("NVIDIA A10", 125.0, 31.2),
    ("NVIDIA L40S", 362.0, 91.6),
    ("NVIDIA L40", 181.0, 90.5),
    ("NVIDIA L4", 121.0, 30.3),
    ("NVIDIA RTX 6000 Ada Generation", 364.2, 91.1),
    ("NVIDIA RTX A6000", 154.8, 38.7),
    ("NVIDIA GeForce RTX 5090", 209.5, 104.8),
    ("NVIDIA GeForce RTX 4090", 165.2, 82.6),
    ("NVIDIA GeForce RTX 3090", 71.0, 35.6),
    ("AMD Instinct MI(300|325)X.*", 1307.4, 163.4),
    ("AMD Instinct MI355X.*", 2516.6, 157.3),
    ("AMD Instinct MI250X.*", 191.5, 23.9),
)
"""Names as torch gives them; TFLOP/s in bf16 and in fp32.

bf16: of the tensor or matrix cores, dense (data sheets of NVIDIA often give the double, for sparse matrices), with sums
in fp32. fp32: without TF32; None where the data sheets of a card do not agree. Sources: the data sheets of H100, H200,
GH200, HGX B200 and B300, GB200 and GB300 NVL72, A100, A30, A40, A10, L40S, L40, L4, RTX A6000 and RTX 6000 Ada; the
architecture whitepapers of Ampere GA102, Ada and RTX Blackwell for GeForce; AMD's for MI250X (of one of its two halves,
which torch takes for a card each), MI300X, MI325X and MI355X.
"""


def peak_flops(card: str, precision: Precision) -> float | None:
    """FLOP/s of a card at most; None for a card that is not known, or a slice of one.

    Args:
        card: its name, as ``torch.cuda.get_device_name`` gives it.
        precision: of the products.
    """
    for name, bf16, fp32 in _PEAKS:
        if re.fullmatch(name, card):
            teraflops = fp32 if precision == "fp32" else bf16
            return teraflops * 1e12 if teraflops else None
    return None


def device_peak(device: torch.device, precision: Precision) -> float | None:
    """Peak FLOP/s of a device; None for a CPU or a card that is not known."""
    return peak_flops(torch.cuda.get_device_name(device), precision) if device.type == "cuda" else None
