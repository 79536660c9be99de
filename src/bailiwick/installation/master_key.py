"""Which master key an installation uses."""

from bailiwick.installation.settings import Settings
from bailiwick.storage.embedded_folder import default_data_dir
from bailiwick.vault.key_file import KEY_FILE_NAME, FixedSource, KeyFile, MasterKeySource, NoSource
from bailiwick.vault.providers import CommandKey, LocalKey


def master_key_source(settings: Settings) -> MasterKeySource:
    """Return where the master key comes from: a command, the environment, a file named, or the data folder's own.

    Reads nothing yet, except a key in the environment.

    Raises:
        MasterKeyError: that one is no key.
    """
    if settings.master_key_command is not None:
        return FixedSource(CommandKey(settings.master_key_command))
    if settings.master_key is not None:
        return FixedSource(
            LocalKey.from_text(settings.master_key.get_secret_value(), where="the variable BAILIWICK_MASTER_KEY")
        )
    if settings.master_key_file is not None:
        return KeyFile(settings.master_key_file, may_create=False)
    if settings.database_url is not None:
        return NoSource()
    return KeyFile((settings.data_dir or default_data_dir()) / KEY_FILE_NAME, may_create=True)
