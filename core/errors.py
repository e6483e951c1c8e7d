"""Errors a person reads: what happened, to which file or model, and what to do next."""


class VoiceError(Exception):
    """Something we foresee. `message` says what happened, to what; `hint` what to do next."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class AudioFileError(VoiceError):
    """A file that cannot be read as, or written to, sound."""


class SilentAudio(VoiceError):
    """Sound without anything to hear, or without any speech."""


class TooShort(VoiceError):
    """Less speech than the work needs."""


class DeviceError(VoiceError):
    """A microphone or loudspeaker that is missing, busy, or went away."""


class TextError(VoiceError):
    """Text in which nothing can be spoken."""


class ModelError(VoiceError):
    """A model that is missing, damaged, or of an unknown kind."""


class FormatMismatch(VoiceError):
    """Two values of different conventions: mels of other formats, embeddings of other encoders."""


class Cancelled(Exception):
    """The user asked for the work to stop. Not an error: raised by `report`, never shown."""
