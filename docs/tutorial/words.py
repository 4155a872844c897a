"""What stands in the pictures of the tutorial, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from longspan.report.cell_diagram import CellWords, LineWords
from longspan.report.diagram import UnrolledWords

__all__ = ["CHINESE", "ENGLISH", "Words"]


@dataclass(frozen=True)
class Words:
    """One language."""

    language: str
    suffix: str
    sentences: tuple[tuple[str, int], ...]  # the sentence, and the place of the word that decides
    apart: str
    far_apart: str
    window: str
    squashing: tuple[str, str]
    slope: str
    unrolled: UnrolledWords
    powers: tuple[str, str, str]  # a line, the axis above, the axis beneath
    gradient: tuple[str, str]
    right: str
    cell: CellWords
    line: LineWords
    spots: str
    gates: dict[str, str]
    held: tuple[str, str, str]
    unit: str
    others: str
    descriptions: dict[str, str]


ENGLISH = Words(
    language="en",
    suffix="",
    sentences=(
        ("the clouds are in the sky", 1),
        ("the clouds , which partly flow into one another and hang low , are in the sky", 1),
        ("I grew up in France … ( 100 words ) … I speak fluent French", 4),
    ),
    apart="{} words",
    far_apart="more than 100 words",
    window="all that a net on a window of 5 words sees",
    squashing=("σ(x): 0 to 1, a share", "tanh(x): −1 to 1, a signed value"),
    slope="dashed: slope",
    unrolled=UnrolledWords(),
    powers=("eigenvalues of size {}", "size of Uᵏ, logarithmic", "k, steps"),
    gradient=("size of ∂ answer / ∂ input, logarithmic", "lag: steps before the end"),
    right="{}, {:.0f} % right",
    cell=CellWords(),
    line=LineWords(),
    spots="sunspots in the year",
    gates={
        "f": "forget gate f: share of the old cell state that stays",
        "i": "input gate i: share of the candidate that is written",
        "g": "candidate g: what may be written",
        "o": "output gate o: share that is shown",
        "c": "cell state c = f · c before + i · g",
        "h": "output h = o · tanh(c)",
    },
    held=("share of what was written in 1850 that is still held", "years since", "forgotten: below 5 %"),
    unit="unit {}: half-life {:.1f} years",
    others="the other units",
    descriptions={
        "sentences": "Three sentences; the word that decides the last one stands ever further back",
        "squashing": "The logistic function and tanh, each with its slope",
        "unrolled": "A recurrent net as a loop, and unrolled over four steps",
        "powers": "The size of powers of a matrix whose eigenvalues are 0.9, 1.0 and 1.1",
        "gradient": "Gradient by lag of a plain RNN and of an LSTM, measured after training",
        "cell": "One step of an LSTM with its four gates",
        "line": "What is left of a value over four steps, in a plain RNN and in an LSTM",
        "gates": "Sunspots, and below them the gates and states of one LSTM unit, 1850 to 2007",
        "units": "Forget gate and cell state of all eight units, 1850 to 2007",
        "held": "The share of a written value that each unit still holds, by years since",
        "removal": "What it costs to take away all that is older than a lag",
    },
)

CHINESE = Words(
    language="zh-CN",
    suffix=".zh",
    sentences=(
        ("白云 飘 在 蓝蓝 的 天空", 0),
        ("白云 , 有的 彼此 交融 , 有的 低低 垂着 , 飘 在 蓝蓝 的 天空", 0),
        ("我 在 法国 长大 … (100 个词) … 我 说 一口 流利 的 法语", 2),
    ),
    apart="相隔 {} 个词",
    far_apart="相隔 100 多个词",
    window="窗口长度为 5 的前馈网络能看到的全部内容",
    squashing=("σ(x)：0 到 1，表示比例", "tanh(x)：−1 到 1，表示带符号的值"),
    slope="虚线：斜率",
    unrolled=UnrolledWords(
        "折叠形式（带环）", "沿时间展开：每一步画一份同样的网络", "每一步共用同一组 W、U、b"
    ),
    powers=("特征值的模为 {}", "Uᵏ 的大小（对数坐标）", "步数 k"),
    gradient=("∂ 输出 / ∂ 输入 的大小（对数坐标）", "滞后：距序列末尾的步数"),
    right="{}，正确率 {:.0f} %",
    cell=CellWords(
        ("遗忘门 f", "保留多少旧状态"),
        ("输入门 i", "写入多少"),
        ("候选值 g", "写入什么"),
        ("输出门 o", "输出多少"),
        "细胞状态：一条贯穿时间的直线，只做缩放和相加",
    ),
    line=LineWords(
        "普通 RNN：每一步，整个 h 都要经过 U 和 tanh",
        "LSTM：每一步，c 只是乘以 f，再加上新内容",
        "写入",
    ),
    spots="当年太阳黑子数",
    gates={
        "f": "遗忘门 f：旧细胞状态保留的比例",
        "i": "输入门 i：候选值写入的比例",
        "g": "候选值 g：可能写入的内容",
        "o": "输出门 o：对外输出的比例",
        "c": "细胞状态 c = f · 上一步的 c + i · g",
        "h": "输出 h = o · tanh(c)",
    },
    held=("1850 年写入的内容还保留多少", "之后的年数", "低于 5 %：视为已遗忘"),
    unit="单元 {}：半衰期 {:.1f} 年",
    others="其余单元",
    descriptions={
        "sentences": "三个句子，决定最后一个词的那个词离得越来越远",
        "squashing": "sigmoid 与 tanh 函数及其斜率",
        "unrolled": "循环神经网络的折叠形式，以及展开四步的形式",
        "powers": "特征值的模为 0.9、1.0、1.1 的矩阵，其各次幂的大小",
        "gradient": "训练之后实测：普通 RNN 与 LSTM 的梯度随滞后的变化",
        "cell": "LSTM 的一步与它的四个门",
        "line": "一个写入的值经过四步之后还剩多少：普通 RNN 与 LSTM",
        "gates": "1850 至 2007 年的太阳黑子数，以及一个 LSTM 单元的门与状态",
        "held": "每个单元对写入内容的保留比例随年数的变化",
    },
)
