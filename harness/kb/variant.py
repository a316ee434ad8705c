"""How a scenario departs from the plain one of its topology and method."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from harness.words import Role

# The order in which a scenario's id names the people who run a proxy's client.
_ROLES: Final = (Role.EXPERT, Role.NOVICE)

_EXPERT_PORT: Final = re.compile(r"expert-port-([1-9][0-9]{0,4})", re.ASCII)
_PROXY_CLIENT: Final = {f"{role}-proxy-client": role for role in _ROLES}


class Variant(BaseModel):
    """What two people do otherwise; by default, nothing.

    ``expert_port`` is the port that the expert listens on by Messenger, 0 for a free one above
    1024, which is what KB306298 says. ``proxy_client`` are those whose computer has the proxy's
    client software, so that Remote Assistance itself dials through the proxy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expert_port: Annotated[int, Field(ge=0, le=65535)] = 0
    proxy_client: tuple[Role, ...] = ()

    @property
    def suffix(self) -> str:
        """What a scenario's id ends with: nothing, or ``@`` and its options joined by commas."""
        options = [f"expert-port-{self.expert_port}"] if self.expert_port else []
        options += [name for name, role in _PROXY_CLIENT.items() if role in self.proxy_client]
        return f"@{','.join(options)}" if options else ""

    @property
    def words(self) -> tuple[str, ...]:
        """Each option in words."""
        port = f"the expert listening on {self.expert_port}"
        clients = [f"the {role}'s computer a client of its proxy" for role in self.proxy_client]
        return (*([port] if self.expert_port else []), *clients)

    @classmethod
    def read(cls, suffix: str) -> Variant:
        """Return the variant that a scenario's id ends with.

        Raises:
            ValueError: it is not written as :attr:`suffix` writes it.
        """
        options = suffix.removeprefix("@").split(",") if suffix else []
        ports = [found[1] for option in options if (found := _EXPERT_PORT.fullmatch(option))]
        clients = [role for name, role in _PROXY_CLIENT.items() if name in options]
        variant = cls(expert_port=int(ports[0]) if ports else 0, proxy_client=tuple(clients))
        if variant.suffix != suffix:
            raise ValueError(f"{suffix} is not an option that a scenario has")
        return variant
