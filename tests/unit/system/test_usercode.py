"""Functions of the user, by file or module: found, refused in words, and told apart when their file changes."""

from hashlib import sha256

import pytest

from leaq.errors import InvalidInput
from leaq.system.usercode import accepted, code_of, raised, user_function


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text("def make(features, outputs=2):\n    return features\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    return tmp_path


def test_a_file_and_a_module_name_the_same_function(folder):
    for spec in ("nets.py:make", "nets:make", f"{folder / 'nets.py'}:make"):
        assert user_function(spec, what="--model", folder=folder)(3) == 3


def test_a_module_of_the_folder_is_told_from_one_of_its_name_imported_elsewhere(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for place, value in ((folder, 1), (other, 2)):
        (place / "twice_named.py").write_text(f"def make(features):\n    return {value}\n")
        (place / "package_named").mkdir()
        (place / "package_named" / "nets.py").write_text(f"def make(features):\n    return {value}\n")
    assert user_function("twice_named:make", what="--model", folder=folder)(3) == 1
    assert user_function("twice_named:make", what="--model", folder=other)(3) == 2
    assert user_function("package_named.nets:make", what="--model", folder=folder)(3) == 1
    with pytest.raises(InvalidInput, match="another package_named.nets was imported before"):
        user_function("package_named.nets:make", what="--model", folder=other)
    assert user_function("package_named/nets.py:make", what="--model", folder=other)(3) == 2


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(folder):
    first = user_function("nets.py:make", what="--model", folder=folder)
    assert user_function("nets.py:make", what="--model", folder=folder) is first
    before = code_of("nets.py:make", folder=folder)
    (folder / "nets.py").write_text("def make(features):\n    return -features\n")
    assert user_function("nets.py:make", what="--model", folder=folder)(3) == -3
    assert code_of("nets.py:make", folder=folder) != before


def test_files_of_the_folder_that_a_file_imports_count(folder):
    """A recipe whose layers lie in a file beside it was answered from the result of other layers."""
    (folder / "parts").mkdir()
    (folder / "parts" / "layers.py").write_text("from . import sizes\n")
    (folder / "parts" / "sizes.py").write_text("WIDTH = 8\n")
    (folder / "recipe.py").write_text("import json\nfrom parts.layers import sizes\n\ndef train(): ...\n")
    alone = code_of("nets.py:make", folder=folder)
    seen = {code_of("recipe.py:train", folder=folder)}
    (folder / "parts" / "sizes.py").write_text("WIDTH = 16\n")
    seen.add(code_of("recipe.py:train", folder=folder))
    (folder / "parts" / "__init__.py").write_text("")
    seen.add(code_of("recipe.py:train", folder=folder))
    (folder / "json2.py").write_text("nobody = 'imports this'\n")
    seen.add(code_of("recipe.py:train", folder=folder))
    assert len(seen) == 3
    assert alone == sha256((folder / "nets.py").read_bytes()).hexdigest()


@pytest.mark.parametrize(("spec", "said"), [
    ("nets.py", "--model must read file.py:function or module:function"),
    ("net.py:make", "There is no file"),
    ("nets.py:mak", "has no function 'mak'. Did you mean 'make'"),
    ("nowhere.at.all:make", "cannot be imported from here"),
    ("broken.py:make", "failed with ZeroDivisionError"),
])  # fmt: skip
def test_what_cannot_be_had_is_refused_with_the_reason(folder, spec, said):
    with pytest.raises(InvalidInput, match=said):
        user_function(spec, what="--model", folder=folder)


def test_a_function_is_given_what_it_names():
    given = {"features": 4, "outputs": 2, "task": "classification"}
    assert accepted(lambda: None, given) == {}
    assert accepted(lambda outputs: outputs, given) == {"outputs": 2}
    assert accepted(lambda **options: options, given) == given


def test_what_was_raised_stays_in_a_line():
    assert raised(RuntimeError("disk full\nand much more"), print) == "RuntimeError: disk full"
