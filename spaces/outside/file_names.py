"""The one place that makes names of files and folders from names that came from outside."""

import hashlib
import re

#: file systems take 255 bytes; what is added to a name (endings, drafts) needs some of them
_MAX_CHARACTERS = 120
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?<!\.)")
#: devices on Windows, whatever ending follows (Microsoft, "Naming Files, Paths, and Namespaces")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_DIGEST_DIGITS = 12


def file_name(name: str) -> str:
    """Returns a name as one component of a path that stays below its folder, visible and of legal length.

    A name that is none becomes digits of its digest, so that two names are never one file. The names that
    studies and trials may have stay as they are.

    Args:
        name: any text.

    >>> file_name("digits-0-a1b2c3"), file_name("../../etc")
    ('digits-0-a1b2c3', 'name-74ccf3c5b4c1')
    """
    if _SAFE.fullmatch(name) and len(name) <= _MAX_CHARACTERS and not _RESERVED.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"name-{digest[:_DIGEST_DIGITS]}"
