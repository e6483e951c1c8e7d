"""The system's theme, asked of a settings portal that the test plays itself, on a bus of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from PyQt5.QtCore import QCoreApplication, QObject, QTimer, Q_CLASSINFO, pyqtSlot
from PyQt5.QtDBus import QDBusAbstractAdaptor, QDBusConnection, QDBusMessage, QDBusVariant
from toolbox.desktop import INTERFACE, PATH, SERVICE, DesktopTheme

XML = '<interface name="org.freedesktop.portal.Settings"><method name="Read"><arg direction="out" type="v"/>' \\
      '<arg direction="in" type="s"/><arg direction="in" type="s"/></method>' \\
      '<signal name="SettingChanged"><arg type="s"/><arg type="s"/><arg type="v"/></signal></interface>'

class Portal(QDBusAbstractAdaptor):
    Q_CLASSINFO("D-Bus Interface", INTERFACE)
    Q_CLASSINFO("D-Bus Introspection", XML)

    @pyqtSlot(str, str, result=QDBusVariant)
    def Read(self, namespace, key):
        return QDBusVariant(1)

application = QCoreApplication([])
bus = QDBusConnection.connectToBus(QDBusConnection.SessionBus, "portal")
owner = QObject()
portal = Portal(owner)
assert bus.registerObject(PATH, owner) and bus.registerService(SERVICE)
said = []
theme = DesktopTheme()
theme.dark.connect(said.append)
theme.ask()

def change():
    signal = QDBusMessage.createSignal(PATH, INTERFACE, "SettingChanged")
    signal.setArguments(["org.freedesktop.appearance", "color-scheme", QDBusVariant(2)])
    bus.send(signal)

def look():
    if said == [True]:
        change()
    elif said == [True, True] or len(said) > 1:
        print(said)
        application.quit()

timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
QTimer.singleShot(8000, lambda: (print("nothing more than", said), application.exit(1)))
sys.exit(application.exec_())
"""


@pytest.mark.skipif(shutil.which("dbus-run-session") is None, reason="needs dbus-run-session to have a bus of its own")
def test_the_desktop_says_dark_and_then_light():
    done = subprocess.run(
        ["dbus-run-session", "--", sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("[True, False")


def test_where_the_theme_follows_the_system_it_changes_with_it(toolbox):
    toolbox.choose_theme("system")
    toolbox.theme.on_system(True)
    assert toolbox.theme.dark and toolbox.window.map.theme.dark
    toolbox.theme.on_system(False)
    assert not toolbox.theme.dark
    toolbox.choose_theme("light")
    toolbox.theme.on_system(True)
    assert not toolbox.theme.dark
    toolbox.theme.on_system(False)
