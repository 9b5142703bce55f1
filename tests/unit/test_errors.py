import pytest

from leaq import errors


def test_every_error_is_a_leaq_error():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert len(kinds) == 7
    assert all(issubclass(kind, errors.LeaqError) for kind in kinds)


def test_wrong_input_is_also_a_value_error():
    assert issubclass(errors.InvalidInput, ValueError)
    assert issubclass(errors.MissingExtra, ImportError)


def test_unknown_name_lists_the_known_and_the_closest():
    err = errors.unknown_name("quantizer", "ternery", ["sign", "ternary"])
    assert str(err) == "Unknown quantizer 'ternery'. Did you mean 'ternary'? Known: sign, ternary."


def test_no_suggestion_for_something_else_entirely():
    assert errors.closest("zzz", ["sign"]) == ""


@pytest.mark.parametrize(
    ("rows", "text"),
    [([3], "1 row (3)"), ([1, 2], "2 rows (1, 2)"), (list(range(1, 8)), "7 rows (1, 2, 3, 4, 5, ...)")],
)
def test_first_rows(rows, text):
    assert errors.first_rows(rows) == text


def test_a_missing_package_names_the_extra_and_the_command():
    with pytest.raises(errors.MissingExtra, match=r"Reading needs the package 'no_such'.*pip install 'leaq\[extra\]'"):
        errors.need("no_such.module", extra="extra", purpose="Reading")


def test_a_message_that_quotes_a_million_letters_is_cut_in_the_middle():
    text = str(errors.InvalidInput(f"Unknown quantizer {'a' * 10**6!r}. Known: sign."))
    assert len(text) < 5000
    assert text.startswith("Unknown quantizer 'aaa")
    assert text.endswith("aaa'. Known: sign.")
    assert "characters left out" in text


def test_a_name_of_a_million_letters_is_answered_at_once():
    assert errors.closest("a" * 10**6, ["sign", "ternary"]) == ""
