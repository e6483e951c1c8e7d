"""The walls of the house: what may be loaded by whom, seen in a fresh interpreter."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that are loaded after `statement` in a fresh interpreter."""
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_core_loads_no_window_and_no_plots():
    import core

    names = [m.name for m in pkgutil.walk_packages(core.__path__, "core.")]
    assert len(names) > 20
    modules = loaded_by("\n".join(f"import {name}" for name in names))
    assert not modules & {"PyQt5", "matplotlib", "toolbox", "sounddevice", "umap", "cli"}


@pytest.mark.parametrize("module", ["toolbox.app", "toolbox.widgets.main_window"])
def test_the_window_is_up_before_anything_heavy(module):
    modules = loaded_by(f"import {module}")
    assert "PyQt5" in modules
    assert not modules & {"torch", "umap", "numba", "sounddevice", "librosa", "sklearn", "pandas"}


@pytest.mark.parametrize(
    "module", ["core.types", "core.roles", "core.errors", "core.progress", "core.inference.registry"]
)
def test_the_contract_needs_numpy_only(module):
    heavy = {"torch", "scipy", "librosa", "matplotlib", "soundfile", "safetensors"}
    assert not loaded_by(f"import {module}") & heavy


def test_the_command_line_answers_before_torch():
    assert not loaded_by("import demo_cli") & {"torch", "librosa", "PyQt5", "matplotlib"}
