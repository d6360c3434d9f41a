"""The table of secrets names every setting that holds one."""

from typing import get_type_hints

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from smart_filter_deploy.process_secrets import NEEDED_BY
from smart_filter_shared.config.settings import Settings


def test_every_secret_setting_says_which_processes_need_it() -> None:
    groups = [
        group
        for group in get_type_hints(Settings).values()
        if isinstance(group, type) and issubclass(group, BaseSettings)
    ]

    secret = {
        f"{group.model_config['env_prefix']}{name}".upper()
        for group in groups
        for name, field in group.model_fields.items()
        if SecretStr.__name__ in str(field.annotation)
    }

    assert secret >= {"SMART_FILTER_C2PA_KEY", "SMART_FILTER_SECRETS_KEY"}
    assert secret - NEEDED_BY.keys() == set()
