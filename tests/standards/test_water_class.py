"""Classes of surface water by hand, from Table 1 of GB 3838-2002."""

from __future__ import annotations

import pytest

from schemas.standards.water import WORSE_THAN_V, class_of


@pytest.mark.parametrize(
    ("factor", "value", "wanted"),
    [
        # Dissolved oxygen, mg/L: I 7.5, II 6, III 5, IV 3, V 2 at least.
        ("do", 8.0, 1),
        ("do", 7.49, 2),
        ("do", 6.0, 2),
        ("do", 5.0, 3),
        ("do", 4.99, 4),
        ("do", 2.0, 5),
        ("do", 1.99, WORSE_THAN_V),
        # Permanganate index: 2, 4, 6, 10, 15 at most.
        ("codmn", 2.0, 1),
        ("codmn", 2.01, 2),
        ("codmn", 15.0, 5),
        ("codmn", 15.1, WORSE_THAN_V),
        # Ammonia nitrogen: 0.15, 0.5, 1.0, 1.5, 2.0.
        ("nh3n", 0.15, 1),
        ("nh3n", 1.0, 3),
        ("nh3n", 1.2, 4),
        ("nh3n", 2.5, WORSE_THAN_V),
        # Total phosphorus of rivers: 0.02, 0.1, 0.2, 0.3, 0.4.
        ("tp", 0.2, 3),
        ("tp", 0.41, WORSE_THAN_V),
        # COD: 15 is the limit of I and of II.
        ("cod", 15.0, 1),
        ("cod", 15.1, 3),
        # 6 to 9 for all classes.
        ("ph", 6.0, 1),
        ("ph", 9.0, 1),
        ("ph", 5.9, WORSE_THAN_V),
        ("ph", 9.1, WORSE_THAN_V),
    ],
)
def test_a_class(factor: str, value: float, wanted: int) -> None:
    assert class_of(factor, value) == wanted


@pytest.mark.parametrize(("value", "wanted"), [(0.01, 1), (0.05, 3), (0.1, 4), (0.21, 6)])
def test_phosphorus_of_lakes(value: float, wanted: int) -> None:
    """0.01, 0.025, 0.05, 0.1, 0.2 mg/L."""
    assert class_of("tp", value, lake=True) == wanted
