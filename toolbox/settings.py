"""What is remembered from one start to the next, in a file of its own."""

from pathlib import Path

from PyQt5.QtCore import QByteArray, QSettings, QStandardPaths

ORGANISATION = "voice-cloning-toolbox"
THEMES = ("system", "light", "dark")


def config_folder() -> Path:
    """Where the settings lie."""
    return Path(QStandardPaths.writableLocation(QStandardPaths.GenericConfigLocation)) / ORGANISATION


def log_path() -> Path:
    """Where the log of the latest start lies."""
    return Path(QStandardPaths.writableLocation(QStandardPaths.GenericDataLocation)) / ORGANISATION / "toolbox.log"


class Settings:
    """Plain, typed access to the settings file; a damaged or foreign value reads as the default."""

    def __init__(self, path: Path | None = None):
        self.path = path or config_folder() / "settings.ini"
        self._store = QSettings(str(self.path), QSettings.IniFormat)

    def text(self, key: str, default: str = "") -> str:
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def flag(self, key: str, default: bool) -> bool:
        return {"true": True, "false": False}.get(self.text(key), default)

    def number(self, key: str, default: float) -> float:
        try:
            return float(self.text(key, str(default)))
        except ValueError:
            return default

    def blob(self, key: str) -> QByteArray:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) else QByteArray()

    def put(self, key: str, value: str | bool | float | int | QByteArray) -> None:
        if isinstance(value, bool):
            value = "true" if value else "false"
        self._store.setValue(key, value if isinstance(value, QByteArray) else str(value))

    @property
    def theme(self) -> str:
        value = self.text("theme", "system")
        return value if value in THEMES else "system"

    def save(self) -> None:
        self._store.sync()
