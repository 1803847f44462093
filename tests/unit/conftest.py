"""What holds for every property here: a busy machine is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# By itself Hypothesis fails an example that took more than 200 ms, and a test whose examples
# are slow to come by: both are the machine's doing where others work on it.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("patient", _patient)
settings.load_profile("patient")
