"""Valid names of stages and layers, which become names of submodules and keys of state dicts."""

import re
from typing import Any

from visionkit.errors import UserError

__all__ = ["RESERVED_NAMES", "check_name"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")

_MODULE_ATTRIBUTES = """
add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extend
extra_repr feature_info float forward forward_features freeze get_buffer get_extra_state get_parameter get_submodule
gradient_checkpointing half insert ipu load_state_dict modules mtia named_buffers named_children named_modules
named_parameters num_frozen_stages parameters pop register_backward_hook register_buffer register_forward_hook
register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory spec stage_parameters state_dict
to to_empty train training type xpu zero_grad
"""

RESERVED_NAMES = frozenset(_MODULE_ATTRIBUTES.split())
"""Names that a stage or layer cannot have, because attributes of `torch.nn.Module` or of a backbone have them."""


def check_name(name: Any, *, where: str) -> None:
    """Check that a stage or layer can have this name.

    Raises:
        UserError: If it is not made of small letters, digits and underscores, or is one of `RESERVED_NAMES`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(
            f"{where}: '{name}' is no valid name. Names start with a small letter and hold "
            "small letters, digits and underscores, such as 'layer1'."
        )
    if name in RESERVED_NAMES:
        raise UserError(f"{where}: '{name}' is a word torch uses itself. Choose another name, such as '{name}_1'.")
