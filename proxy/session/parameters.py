"""What the server reports about its settings, as far as decisions depend on it."""

from __future__ import annotations

from proxy.session.conversation import Conversation
from proxy.session.settings import read_search_path
from proxy.wire import messages as m


def note_parameter(c: Conversation, message: m.ParameterStatus) -> None:
    """What the server reports about its settings, as far as decisions depend on it."""
    text = message.value.decode("utf-8", "replace")
    match message.name:
        case b"application_name":
            c.identity.application = text
        case b"client_encoding":
            c.is_pin_broken = c.is_pin_broken or text != "UTF8"
        case b"standard_conforming_strings":
            c.is_pin_broken = c.is_pin_broken or text != "on"
        case b"search_path":
            catalog = c.services.catalog(c.identity.database)
            if catalog is not None:
                path = read_search_path(text, c.gateway_user, catalog.schemas)
                if c.confirmed.track.correct(path, catalog.schemas):
                    c.forget_sent()
