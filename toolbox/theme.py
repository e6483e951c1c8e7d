"""Light and dark: one table of colours, from which palette, style sheet and icons are made."""

import sys
from pathlib import Path

from PyQt5.QtCore import QByteArray, QObject, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PyQt5.QtSvg import QSvgRenderer
from PyQt5.QtWidgets import QApplication

ASSETS = Path(__file__).resolve().parents[1] / "assets"

LIGHT = {
    "window": "#f2f4f7",
    "panel": "#ffffff",
    "field": "#ffffff",
    "border": "#dde1e8",
    "edge": "#c3c9d4",
    "text": "#1b1f27",
    "muted": "#5c6573",
    "hover": "#eef1f6",
    "pressed": "#e2e7f0",
    "selected": "#e3eaff",
    "accent": "#3260e6",
    "accent_hover": "#2853cf",
    "accent_text": "#ffffff",
    "danger": "#cf3333",
    "warning": "#9a5b00",
    "good": "#1c8049",
    "track": "#e4e8ef",
    "info_fill": "#e8eefe",
    "warning_fill": "#fdf1dc",
    "error_fill": "#fde8e8",
}
DARK = {
    "window": "#14161a",
    "panel": "#1d2026",
    "field": "#14171c",
    "border": "#2d323b",
    "edge": "#444b57",
    "text": "#e7e9ee",
    "muted": "#9ba4b2",
    "hover": "#272b33",
    "pressed": "#30353f",
    "selected": "#27345c",
    "accent": "#7797ff",
    "accent_hover": "#8fa9ff",
    "accent_text": "#0b1020",
    "danger": "#ff7373",
    "warning": "#f0b55e",
    "good": "#58cb8d",
    "track": "#2a2f38",
    "info_fill": "#1f2a47",
    "warning_fill": "#392d18",
    "error_fill": "#3d2226",
}


def system_is_dark() -> bool:
    """Whether Windows prefers dark, which its palette does not tell. `toolbox.desktop` asks Linux."""
    if sys.platform == "win32":
        import winreg

        try:
            path = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
                return winreg.QueryValueEx(key, "AppsUseLightTheme")[0] == 0
        except OSError:
            return False
    return False


class Theme(QObject):
    """The colours in use. `changed` tells the plots; palette, style sheet and icons follow by themselves."""

    changed = pyqtSignal(bool)  # dark

    def __init__(self, application: QApplication, choice: str = "system"):
        super().__init__(application)
        self.application = application
        before = application.property("system_dark")  # a second window must not read our own palette
        if before is None:
            before = system_is_dark() or application.palette().color(QPalette.Window).lightness() < 128
            application.setProperty("system_dark", before)
        self._system_dark = bool(before)
        self._template = (ASSETS / "style.qss").read_text(encoding="utf-8")
        self._drawn: dict[tuple, QPixmap] = {}
        self._icons: list[tuple[QObject, str, str]] = []
        self.choice = ""
        self.dark: bool | None = None
        self.colours = LIGHT
        self.choose(choice)

    def choose(self, choice: str) -> None:
        """choice: "system", "light" or "dark"."""
        self.choice = choice
        self._apply(self._system_dark if choice == "system" else choice == "dark")

    def on_system(self, dark: bool) -> None:
        """The desktop has said what it prefers."""
        self._system_dark = dark
        self.application.setProperty("system_dark", dark)
        if self.choice == "system":
            self._apply(dark)

    def _apply(self, dark: bool) -> None:
        if dark == self.dark:
            return
        self.dark = dark
        self.colours = DARK if dark else LIGHT
        self.application.setPalette(self._palette())
        sheet = self._template
        for name, value in sorted(self.colours.items(), key=lambda item: -len(item[0])):
            sheet = sheet.replace(f"@{name};", f"{value};").replace(f"@{name} ", f"{value} ")
        icons = (ASSETS / "icons").as_posix()
        sheet = sheet.replace("@icons", icons).replace("@mode", "dark" if dark else "light")
        self.application.setStyleSheet(sheet)
        for button, name, colour in list(self._icons):
            try:
                button.setIcon(self.icon(name, colour))
            except RuntimeError:  # the button has gone
                self._icons.remove((button, name, colour))
        self.changed.emit(dark)

    def _palette(self) -> QPalette:
        c = self.colours
        palette = QPalette()
        roles = {
            QPalette.Window: "window",
            QPalette.WindowText: "text",
            QPalette.Base: "field",
            QPalette.AlternateBase: "hover",
            QPalette.Text: "text",
            QPalette.Button: "panel",
            QPalette.ButtonText: "text",
            QPalette.ToolTipBase: "panel",
            QPalette.ToolTipText: "text",
            QPalette.Highlight: "accent",
            QPalette.HighlightedText: "accent_text",
            QPalette.Link: "accent",
            QPalette.PlaceholderText: "muted",
        }
        for role, name in roles.items():
            palette.setColor(role, QColor(c[name]))
        for role in (QPalette.Text, QPalette.ButtonText, QPalette.WindowText):
            palette.setColor(QPalette.Disabled, role, QColor(c["edge"]))
        return palette

    def set_icon(self, button: QObject, name: str, colour: str = "text") -> None:
        """Gives a button an icon that follows the theme; a later call replaces it."""
        self._icons = [entry for entry in self._icons if entry[0] is not button]
        self._icons.append((button, name, colour))
        button.setIcon(self.icon(name, colour))

    def icon(self, name: str, colour: str = "text") -> QIcon:
        icon = QIcon(self.pixmap(name, colour, 20))
        icon.addPixmap(self.pixmap(name, "edge", 20), QIcon.Disabled)
        return icon

    def pixmap(self, name: str, colour: str = "text", size: int = 20, ratio: float | None = None) -> QPixmap:
        """One of our drawings in one of our colours (a name of the table, or "#rrggbb")."""
        ratio = ratio or self.application.devicePixelRatio()
        key = (name, self.colours.get(colour, colour), size, ratio)
        if key not in self._drawn:
            self._drawn[key] = self._draw(*key)
        return self._drawn[key]

    @staticmethod
    def _draw(name: str, colour: str, size: int, ratio: float) -> QPixmap:
        drawing = (ASSETS / "icons" / f"{name}.svg").read_text(encoding="utf-8")
        renderer = QSvgRenderer(QByteArray(drawing.replace("currentColor", colour).encode()))
        pixmap = QPixmap(round(size * ratio), round(size * ratio))
        pixmap.fill(Qt.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, pixmap.width(), pixmap.height()))
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        return pixmap

    @staticmethod
    def dot(colour: str, size: int = 16, ratio: float = 2.0) -> QIcon:
        """A speaker's mark."""
        pixmap = QPixmap(round(size * ratio), round(size * ratio))
        pixmap.fill(Qt.transparent)
        pixmap.setDevicePixelRatio(ratio)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(QRectF(3, 3, size - 6, size - 6))
        painter.end()
        return QIcon(pixmap)
