"""A filled form as files: JSON (what is signed), HTML (the same inside), YAML for the metadata of a model card."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leaq.errors import InvalidInput
from leaq.reporting.card import CARD_TITLE
from leaq.reporting.form import Form
from leaq.reporting.html import PAGE, page_of
from leaq.results import as_plain
from leaq.system.files import places_beside, read_bytes, write_atomic
from leaq.system.signing import sign, signed_by

SCHEMA = 1
_FILES = {".html": PAGE, ".json": '"leaq_card"', ".yaml": "membership_privacy:"}
"""What tells an earlier form from another file of that name, which is not replaced."""
_UNCHECKED = "whose numbers cannot be checked alone. Name the run folder, or write a form: leaq show RUN --profile edpb"
_OTHERS = {
    '"leaq_card"': "one that was cut off or changed and can no longer be read",
    PAGE: f"a report, {_UNCHECKED}",
    CARD_TITLE: f"a card in Markdown, {_UNCHECKED}",
    _FILES[".yaml"]: "its metadata. Name the JSON or HTML file beside it",
}
"""What else leaq writes, by the text that tells it."""
BEGIN, END = '<script type="application/json" id="card">', "</script>"


def write_form(form: Form, path: str | Path, *, key_file: Path | None = None) -> tuple[Path, ...]:
    """Write ``STEM.html``, ``STEM.json`` and ``STEM.yaml`` and return their paths.

    Parameters
    ----------
    path : of the HTML file; the others get its name with their own ending.
    key_file : private key (Ed25519, PEM) to sign the form with.
    """
    files = places_beside(path, _FILES)
    card: dict[str, Any] = {"leaq_card": SCHEMA, **as_plain(form)}
    if key_file is not None:
        card["signature"] = sign(_canonical(card), key_file)
    inside = json.dumps(card, allow_nan=False, sort_keys=True).replace("<", "\\u003c")
    contents = (
        page_of("form.html", {"form": form, "signature": card.get("signature"), "card": inside}),
        json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "---\n" + "".join(_yaml(_metadata(card))) + "---\n",
    )
    for file, content in zip(files, contents, strict=True):
        write_atomic(file, content, mode=0o644)
    return files


def read_card(path: str | Path) -> dict[str, Any]:
    """Return the card in a JSON file, or inside its HTML page.

    Raises
    ------
    InvalidInput
        If the file holds no card, or one that a newer version wrote.
    """
    page = read_bytes(Path(path)).decode("utf-8", errors="replace")
    text = page.split(BEGIN, 1)[1].split(END, 1)[0] if BEGIN in page else page
    try:
        card = json.loads(text)
        schema = int(card["leaq_card"])
    except (ValueError, KeyError, TypeError):
        found = next((what for mark, what in _OTHERS.items() if mark in page), "another file")
        raise InvalidInput(
            f"{str(path)!r} must be a card: the JSON or HTML file of leaq show --profile. Found {found}."
        ) from None
    if schema > SCHEMA:
        raise InvalidInput(f"{str(path)!r} was written by a newer leaq (card {schema}). Upgrade leaq to check it.")
    return dict(card)


def signer(card: Mapping[str, Any]) -> str | None:
    """Return the fingerprint of the key that signed a card as it is now; None if none did."""
    plain = {name: value for name, value in card.items() if name != "signature"}
    return signed_by(_canonical(plain), card["signature"]) if isinstance(card.get("signature"), Mapping) else None


def _canonical(card: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: one way to write the same values."""
    return json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _metadata(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model card's metadata holds: the answers, short enough for a header."""
    answers = {one["key"]: {"status": one["status"], **_short(one["numbers"])} for one in card["answers"]}
    kept = {name: card[name] for name in ("profile", "subject", "quantizer", "issued", "command")}
    return {"membership_privacy": {**kept, **answers, "signature": card.get("signature")}}


def _short(value: Any) -> Any:
    """Return numbers with their intervals only."""
    if not isinstance(value, Mapping):
        return value
    kept = ("value", "low", "high", "n", "unit") if value.get("kind") == "estimate" else tuple(value)
    return {name: _short(value[name]) for name in kept}


def _yaml(value: Any, depth: int = 0) -> Iterator[str]:
    """Write nested mappings as YAML, everything else as JSON, which YAML reads."""
    for name, item in value.items():
        lead = "  " * depth + (name if name.isidentifier() else json.dumps(name))
        if isinstance(item, Mapping) and item:
            yield f"{lead}:\n"
            yield from _yaml(item, depth + 1)
        else:
            yield f"{lead}: {json.dumps(item, ensure_ascii=False, allow_nan=False)}\n"
