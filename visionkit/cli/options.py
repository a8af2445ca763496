"""The options of verbs that compose no configuration: ``runs`` and ``compare``."""

from __future__ import annotations

from collections.abc import Sequence

from visionkit.cli.syntax import Override
from visionkit.cli.verbs import VERBS
from visionkit.errors import UserError, did_you_mean

__all__ = ["parse_options"]


def parse_options(verb: str, arguments: Sequence[str]) -> dict[str, str]:
    """The options of a verb by name, without the quotes around them; ``plugins`` is left out.

    Args:
        verb: A key of `VERBS`.
        arguments: As typed behind it.

    Raises:
        UserError: If an argument is none of its options.
    """
    known, options = VERBS[verb].options, dict[str, str]()
    for argument in arguments:
        override = Override.parse(argument)
        example = VERBS[verb].examples[0]
        if override is None:
            words = ",".join(word for word in arguments if "=" not in word)
            raise UserError(
                f"{verb}: '{argument}' is no key=value. Did you mean {next(iter(known))}={words}? Expected such as: "
                f"{example}"
            )
        if override.delete or override.add or override.key not in (*known, "plugins"):
            raise UserError(
                f"{verb}: there is no '{override.key}' to set.{did_you_mean(override.key, known)} It takes "
                f"{', '.join(f'{key}=' for key in known)} alone, such as: {example}"
            )
        text = override.text.strip()
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        options[override.key] = text[1:-1] if quoted else text
    options.pop("plugins", None)
    if options.get("format", "text") not in ("text", "json"):
        raise UserError(
            f"format: expected text or json, found '{options['format']}'."
            f"{did_you_mean(options['format'], ('text', 'json'))} Try: format=json"
        )
    return options
