"""Whether the desktop is dark, where the palette does not say: asked of the settings portal of Linux desktops.

Source: the XDG Desktop Portal, org.freedesktop.portal.Settings, key color-scheme (0 none, 1 dark, 2 light).
"""

import sys

from PyQt5.QtCore import QObject, pyqtSignal, pyqtSlot

try:
    from PyQt5.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher, QDBusPendingReply
except ImportError:  # some distributions package it apart, other systems have none
    QDBusConnection = None

SERVICE, PATH, INTERFACE = (
    "org.freedesktop.portal.Desktop",
    "/org/freedesktop/portal/desktop",
    "org.freedesktop.portal.Settings",
)
NAMESPACE, KEY = "org.freedesktop.appearance", "color-scheme"


class DesktopTheme(QObject):
    """Emits `dark` when the desktop has said what it prefers, and whenever that changes. Nothing waits for it."""

    dark = pyqtSignal(bool)

    def ask(self) -> None:
        """Does nothing where there is no such desktop."""
        if QDBusConnection is None or not sys.platform.startswith("linux"):
            return
        bus = QDBusConnection.sessionBus()
        if not bus.isConnected():
            return
        bus.connect(SERVICE, PATH, INTERFACE, "SettingChanged", self._on_changed)
        message = QDBusMessage.createMethodCall(SERVICE, PATH, INTERFACE, "Read")
        message.setArguments([NAMESPACE, KEY])
        self._watcher = QDBusPendingCallWatcher(bus.asyncCall(message, 3000), self)
        self._watcher.finished.connect(self._on_answer)

    def _on_answer(self, watcher) -> None:
        reply = QDBusPendingReply(watcher).reply()
        if reply.type() == QDBusMessage.ReplyMessage and reply.arguments():
            self._say(reply.arguments()[0])

    @pyqtSlot("QDBusMessage" if QDBusConnection else object)
    def _on_changed(self, message) -> None:
        arguments = message.arguments()
        if arguments[:2] == [NAMESPACE, KEY]:
            self._say(arguments[2])

    def _say(self, value) -> None:
        while hasattr(value, "variant"):  # a variant in a variant
            value = value.variant()
        if value in (1, 2):
            self.dark.emit(value == 1)
