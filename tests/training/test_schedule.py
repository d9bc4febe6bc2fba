"""Learning rates: warm up, stay or fall, end near zero."""

import pytest

from s2h.models.settings import TrainingSettings
from s2h.training.schedule import rate

BASE = {"learning_rate": 1, "batch_size": 1, "micro_batch_size": 1, "max_length": 8}


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_rates_rise_then_fall(schedule: str) -> None:
    settings = TrainingSettings.model_validate(BASE | {"lr_scheduler_type": schedule, "warmup_ratio": 0.1})
    rates = [rate(step, steps=100, settings=settings) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[11:] == sorted(rates[11:], reverse=True)
    assert 0 < rates[0] < 0.2
    assert max(rates) == pytest.approx(1)
    assert 0 < rates[-1] < 0.03


def test_a_linear_schedule_stays_at_its_peak_until_it_falls() -> None:
    settings = TrainingSettings.model_validate(
        BASE | {"lr_scheduler_type": "linear", "warmup_ratio": 0.1, "decay_from": 0.6}
    )
    rates = [rate(step, steps=100, settings=settings) for step in range(100)]
    assert rates[10:60] == [1.0] * 50
    assert rates[80] == pytest.approx(0.5)
