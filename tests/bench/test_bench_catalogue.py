"""Rows by name."""

from __future__ import annotations

import pytest

from longspan.bench.catalogue import GROUPS, Row, Sizes, rows, select
from longspan.bench.run import MAKERS
from longspan.core.errors import InputError


def test_names_are_unique_and_select_their_row() -> None:
    names = [row.name for row in rows()]
    assert len(set(names)) == len(names)
    assert all(select([row.name]) == (row,) for row in rows())


def test_every_group_has_its_maker() -> None:
    assert set(GROUPS) == set(MAKERS)


def test_nothing_said_means_everything_in_order() -> None:
    assert select([]) == rows()


def test_the_first_part_of_a_name_selects_all_below_it() -> None:
    assert {row.group for row in select(["ragged"])} == {"ragged/inference", "ragged/training"}
    assert select(["streaming/bound", "streaming"])[: len(GROUPS["streaming/bound"])] == select(
        ["streaming/bound"]
    )


def test_a_row_named_twice_is_measured_once() -> None:
    assert len(select(["training", "training/32x100x64x128"])) == len(GROUPS["training"])


def test_a_row_of_the_users_own_sizes() -> None:
    assert select(["training/3x7x5x11"]) == (Row("training", Sizes(3, 7, 5, 11)),)


def test_operations_of_a_plain_pass() -> None:
    # Four gates, a multiplication and an addition for each weight, sequence and step.
    B, T, I, H = 3, 7, 5, 11  # noqa: E741
    assert Sizes(B, T, I, H).flops == 2 * (4 * H * (I + H)) * B * T


def test_quick_leaves_out_what_is_large_unless_it_is_named() -> None:
    left = select(["inference"], quick=True)
    assert Row("inference", Sizes(32, 100, 64, 128)) in left
    assert all(row.sizes.H < 512 for row in left)
    assert select(["inference/64x100x512x512"], quick=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("infrence", "no row 'infrence'. Did you mean 'inference'? Groups: streaming/bound"),
        ("inference/0x1x1x1", "no row 'inference/0x1x1x1'"),
        ("inference/1x1x1", "GROUP/BxTxIxH"),
        ("infer", "no row 'infer'"),
        ("streaming/bound/2x1x4x4", "expected a batch and a time of 1"),
    ],
)
def test_a_name_that_is_none(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        select([name])
    assert said in str(caught.value)
