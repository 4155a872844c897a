"""Words for numbers and names, as the verdict and the page of a comparison write them."""

from __future__ import annotations

from collections.abc import Sequence

from longspan.studies.compare_tests import Duel

__all__ = [
    "all_but_exact",
    "beside",
    "capital",
    "chance",
    "joined",
    "probability",
    "seconds",
    "the",
    "with_article",
]

_ALL_BUT_EXACT = 1e5  # relative change in %, above which a percentage tells nobody anything
_BARE = ("drift", "ridge", "ETS", "ARIMA")  # simple methods whose names take no article
_SPOKEN_AS_VOWELS = "AEFHILMNORSX"


def all_but_exact(loss: float, against: float) -> bool:
    """Whether ``against`` is nothing beside ``loss``: chance has no part in that."""
    return loss > 0 and 100 * (loss - against) > _ALL_BUT_EXACT * against


def beside(measure: str, loss: float, against: float) -> str:
    """``its MASE of 0.84 is 12.0 % lower than 0.95``."""
    if not against > 0:
        return f"its {measure} is {loss:.3g}, and the other is exact" if loss > 0 else "both are exact"
    effect = 100 * (loss / against - 1)
    start = f"its {measure} of {loss:.3g} is"
    if all_but_exact(loss, against):
        return f"{start} far above {against:.3g}, which is all but exact"
    if effect == 0:
        return f"{start} the same"
    size = abs(effect)
    shown = f"{size:.1f} %" if size < 100 else f"{size:,.0f} %"
    return f"{start} {shown} {'lower' if effect < 0 else 'higher'} than {against:.3g}"


def chance(duel: Duel) -> str:
    """`` (adjusted p = 0.003; Diebold–Mariano over origins, n = 120)``, or nothing without a test."""
    if duel.adjusted is None:
        return ""
    return f" (adjusted {probability(duel.adjusted)}; {duel.test}, n = {duel.n:,})"


def probability(p: float) -> str:
    """``p = 0.003``, as exact as it tells anything."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"


def seconds(value: float) -> str:
    """``12 s``, ``0.4 s``."""
    return f"{value:,.0f} s" if value >= 10 else f"{value:.2g} s"


def the(title: str) -> str:
    """``the seasonal naive``, ``ridge on the window``."""
    return title if title.startswith(_BARE) else f"the {title}"


def with_article(title: str) -> str:
    """``an LSTM``, ``a GRU``, ``an RNN``, ``a transformer``: by how the name is spoken."""
    first = title[:1]
    vowel = first in _SPOKEN_AS_VOWELS if title.isupper() else first.lower() in "aeiou"
    return f"{'an' if vowel else 'a'} {title}"


def joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def capital(text: str) -> str:
    """The text, its first letter a capital."""
    return text[:1].upper() + text[1:]
