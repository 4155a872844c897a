"""Means of what is known."""

from __future__ import annotations

import numpy as np

from longspan.metrics.arrays import group_means, known_means

NAN = float("nan")


def test_means_are_of_the_known_values_and_nothing_of_none() -> None:
    values = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(known_means(values), [2, NAN, 5])
    np.testing.assert_array_equal(known_means(values[:, :0]), [NAN, NAN, NAN])
    cycles = np.stack([values, 2 * values], axis=2)
    np.testing.assert_array_equal(known_means(cycles), [[2, 4], [NAN, NAN], [5, 10]])


def test_places_that_are_named_count_whatever_is_there() -> None:
    values = np.array([[1.0, NAN], [3.0, 5.0]])
    np.testing.assert_array_equal(known_means(values, np.array([[True, True], [True, False]])), [NAN, 3])


def test_means_of_groups() -> None:
    values, group = np.array([1.0, 3.0, NAN, NAN, 8.0]), np.array([0, 0, 0, 2, 3])
    np.testing.assert_array_equal(group_means(values, group, 5), [2, NAN, NAN, 8, NAN])
