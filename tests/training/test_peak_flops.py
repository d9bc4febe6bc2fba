from __future__ import annotations

import pytest
import torch

from s2h.training.peak_flops import device_peak, peak_flops


@pytest.mark.parametrize(
    ("card", "bf16", "fp32"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5, 66.9),
        ("NVIDIA H100 PCIe", 756.5, 51.2),
        ("NVIDIA H100 NVL", 835.5, 60.0),
        ("NVIDIA H200", 989.5, 66.9),
        ("NVIDIA GH200 480GB", 989.5, 66.9),
        ("NVIDIA B200", 2250, None),
        ("NVIDIA A100-SXM4-80GB", 312, 19.5),
        ("NVIDIA A100 80GB PCIe", 312, 19.5),
        ("NVIDIA L4", 121, 30.3),
        ("NVIDIA L40S", 362, 91.6),
        ("NVIDIA RTX 6000 Ada Generation", 364.2, 91.1),
        ("NVIDIA GeForce RTX 4090", 165.2, 82.6),
        ("AMD Instinct MI300X", 1307.4, 163.4),
    ],
)
def test_cards_have_the_peaks_of_their_data_sheets(card: str, bf16: float, fp32: float | None) -> None:
    assert peak_flops(card, "bf16") == pytest.approx(bf16 * 1e12)
    assert peak_flops(card, "fp32") == (fp32 and pytest.approx(fp32 * 1e12))


@pytest.mark.parametrize(
    "card", ["NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA H100 80GB HBM3 MIG 3g.40gb", "NVIDIA A10G", "Tesla T4"]
)
def test_a_slice_or_another_card_of_like_name_has_none(card: str) -> None:
    assert peak_flops(card, "bf16") is None


def test_a_cpu_has_none() -> None:
    assert device_peak(torch.device("cpu"), "fp32") is None
