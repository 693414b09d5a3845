"""What holds for every test."""

from hypothesis import HealthCheck, settings

# The same examples on every machine, busy or not: an example's time says nothing there. New ones
# are tried by `make torture`.
settings.register_profile(
    "suite",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
