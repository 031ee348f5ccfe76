"""The font families that characters are rendered from, and which split each belongs to."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...spaces.errors import AtollError

#: of pyproject.toml, with the packages below
EXTRA = "characters"


@dataclass(frozen=True)
class FontFamily:
    """One family with all its styles.

    Args:
        name: the family.
        design: what its shapes go back to. Metric-compatible clones, and families drawn as one superfamily,
            share it: they count as one and stand in the same split.
        split: `train`, `validation` or `test`.
        package: importable package that carries the files; also its name on the package index.
        folder: folder of the files inside the package.
        files: file names, one a style.
    """

    name: str
    design: str
    split: str
    package: str
    folder: str
    files: tuple[str, ...]

    def paths(self) -> tuple[Path, ...]:
        """Returns the paths of the installed files, in the order of `files`.

        Raises:
            AtollError: the package is not installed, or lacks a file.
        """
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise AtollError(
                f"the task `characters` draws {self.name} from {self.package.replace('_', '-')}, which is "
                f"not installed: pip install 'atoll[{EXTRA}]', "
                f"in a clone .venv/bin/pip install -e '.[{EXTRA}]'"
            )
        folder = Path(spec.origin).parent / self.folder
        for file in self.files:
            if not (folder / file).is_file():
                raise AtollError(
                    f"the font package {self.package.replace('_', '-')} lacks {self.folder}/{file} "
                    f"({self.name}); install the version named in constraints.txt"
                )
        return tuple(folder / file for file in self.files)


_MATPLOTLIB = "mpl-data/fonts/ttf"

#: Styles are regular to bold, upright and slanted; hair-thin ones are left out: noise would swallow them.
FONT_FAMILIES: tuple[FontFamily, ...] = (
    FontFamily(
        "DejaVu Sans",
        "Bitstream Vera",
        "train",
        "matplotlib",
        _MATPLOTLIB,
        ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf"),
    ),
    FontFamily(
        "DejaVu Sans Mono",
        "Bitstream Vera",
        "train",
        "matplotlib",
        _MATPLOTLIB,
        ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSansMono-Oblique.ttf"),
    ),
    FontFamily(
        "DejaVu Serif",
        "Bitstream Vera",
        "train",
        "matplotlib",
        _MATPLOTLIB,
        ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSerif-Italic.ttf"),
    ),
    FontFamily(
        "STIX",
        "Times",
        "train",
        "matplotlib",
        _MATPLOTLIB,
        ("STIXGeneral.ttf", "STIXGeneralBol.ttf", "STIXGeneralItalic.ttf", "STIXGeneralBolIta.ttf"),
    ),
    FontFamily(
        "Roboto",
        "Roboto",
        "train",
        "font_roboto",
        "files",
        (
            "Roboto-Light.ttf",
            "Roboto-Regular.ttf",
            "Roboto-Bold.ttf",
            "Roboto-Italic.ttf",
            "Roboto-Black.ttf",
        ),
    ),
    FontFamily(
        "Source Sans Pro",
        "Source",
        "train",
        "font_source_sans_pro",
        "files",
        (
            "SourceSansPro-Light.ttf",
            "SourceSansPro-Regular.ttf",
            "SourceSansPro-Bold.ttf",
            "SourceSansPro-It.ttf",
        ),
    ),
    FontFamily(
        "Source Serif Pro",
        "Source",
        "train",
        "font_source_serif_pro",
        "files",
        (
            "SourceSerifPro-Light.ttf",
            "SourceSerifPro-Regular.ttf",
            "SourceSerifPro-Bold.ttf",
            "SourceSerifPro-It.ttf",
        ),
    ),
    FontFamily(
        "Hanken Grotesk",
        "Hanken Grotesk",
        "validation",
        "font_hanken_grotesk",
        "files",
        (
            "HankenGrotesk-Light.otf",
            "HankenGrotesk-Regular.otf",
            "HankenGrotesk-Bold.otf",
            "HankenGrotesk-Italic.otf",
        ),
    ),
    FontFamily(
        "Caladea",
        "Cambria",
        "validation",
        "font_caladea",
        "files",
        ("Caladea-Regular.ttf", "Caladea-Bold.ttf", "Caladea-Italic.ttf", "Caladea-BoldItalic.ttf"),
    ),
    FontFamily(
        "Computer Modern",
        "Computer Modern",
        "test",
        "matplotlib",
        _MATPLOTLIB,
        ("cmr10.ttf", "cmb10.ttf", "cmss10.ttf", "cmtt10.ttf", "cmti10.ttf"),
    ),
    FontFamily(
        "Manrope",
        "Manrope",
        "test",
        "font_manrope",
        "files",
        ("Manrope-Light.ttf", "Manrope-Regular.ttf", "Manrope-Bold.ttf", "Manrope-ExtraBold.ttf"),
    ),
    FontFamily(
        "Fredoka One",
        "Fredoka One",
        "test",
        "font_fredoka_one",
        "files",
        ("FredokaOne-Regular.ttf",),
    ),
)


def families_of(split: str) -> tuple[FontFamily, ...]:
    """Returns the families that the images of a split are drawn from."""
    return tuple(family for family in FONT_FAMILIES if family.split == split)


def fonts_digest() -> str:
    """Returns the SHA-256 over the bytes of every font file, hexadecimal."""
    digest = hashlib.sha256()
    for family in FONT_FAMILIES:
        for path in family.paths():
            digest.update(f"{family.split}/{family.name}/{path.name}".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
