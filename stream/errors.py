"""Every error that `stream` raises.

StreamError                          the root; carries `hint`
├── ConfigurationError               the configuration file or the environment is wrong
├── ConfigurationDiffersError        the file differs from the configuration in force
├── JournalError                     the journal cannot be read
│   ├── ForeignJournalError          it is another service's, or of another partition count
│   └── PositionsDisagreeError       the committed positions are not its last entry's
├── DivergedError                    a replayed step does not give the digest in the journal
├── EngineChangedError               a snapshot's probes predict differently under this River
├── AlertError                       no such alert, or no such severity
├── DeadLetterError                  no such dead letters, or none of them can be redriven
├── ExportError                      a table of what was served cannot be asked for so
├── LabelsError                      labels that cannot be given, or are not what they should be
├── CommandError                     a command that is refused: its outcome says why
├── ShardPausedError                 a shard waits for a rollback that cannot be carried out
├── HaltedError                      too many records cannot be used: a shard has halted
├── RollbackError                    a rollback's state cannot be loaded or rebuilt here
├── TransferError                    a service cannot begin from the state of another
├── BenchError                       a measurement did not come to its end
├── WorkersFailedError               a worker of several on this machine cannot go on
└── UpdateFailedError                a learner failed to learn; nothing of its step was committed
"""

from learners.errors import LearnerFailedError


class StreamError(Exception):
    """The root of this package's errors: a message that names the constraint, then the value, and a
    hint."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(StreamError):
    """The configuration cannot be used: which field, what it holds, what would do."""


class ConfigurationDiffersError(StreamError):
    """The file's semantic part differs from the configuration in force in the journal."""

    def __init__(self, message: str, hint: str, difference: list[str]) -> None:
        super().__init__(message, hint)
        self.difference = difference


class JournalError(StreamError):
    """The journal cannot be read."""


class ForeignJournalError(JournalError):
    """The journal belongs to another service or was made for another partition count."""


class PositionsDisagreeError(JournalError):
    """The committed positions or the note beside them are not those of the last journal entry."""


class DivergedError(StreamError):
    """Replaying a journalled step gave another digest; names the first differing step."""

    def __init__(self, message: str, hint: str, *, shard: int, sequence: int) -> None:
        super().__init__(message, hint)
        self.shard = shard
        self.sequence = sequence


class EngineChangedError(StreamError):
    """A snapshot written by another River version predicts differently under this one."""


class AlertError(StreamError):
    """There is no such alert, or no such severity."""


class DeadLetterError(StreamError):
    """There are no such dead letters, or none of them can be redriven."""


class ExportError(StreamError):
    """The table of what was served cannot be asked for so."""


class LabelsError(StreamError):
    """Labels that cannot be given, or are not what they should be: which, where, what would do."""


class CommandError(StreamError):
    """A command that cannot be applied; the refusal is its outcome, on every shard alike."""


class ShardPausedError(StreamError):
    """A shard waits, as do its events, until a rollback that it cannot carry out is replaced."""


class HaltedError(StreamError):
    """Too many records cannot be used: the shard has halted, and those behind them wait."""


class RollbackError(StreamError):
    """The state that a rollback asks for cannot be loaded or rebuilt; the shard stays as it is."""


class TransferError(StreamError):
    """A service cannot begin from the state of another one."""


class BenchError(StreamError):
    """A measurement did not come to its end."""


class WorkersFailedError(StreamError):
    """A worker of several on this machine cannot go on; `exit_code` is the command's then."""

    def __init__(self, message: str, hint: str, *, exit_code: int = 2) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class UpdateFailedError(StreamError):
    """A learner failed to learn; the state is spent, and nothing of the step was committed.

    `place` (of `stream.shard.updates`) says which update it was, `detail` what the model said.
    """

    def __init__(self, shard: int, place: tuple[str, int], error: LearnerFailedError) -> None:
        topic, offset = place
        where = f"{topic} partition {shard} offset {offset}"
        if topic == "assumed":
            where = f"the label assumed for event number {offset} of shard {shard}"
        super().__init__(f"the champion failed to learn at {where}: {error.detail}", error.hint)
        self.shard = shard
        self.place = place
        self.detail = error.detail
