"""Letters of other alphabets that look like Latin letters or digits. Pure.

A fixed choice from Unicode's confusables (UTS #39): Cyrillic, Greek, Armenian, and a few Latin ones of IPA.
"""

# ruff: noqa: RUF001 - the letters that look like others are the point

import unicodedata

_PAIRS = (
    # Cyrillic
    ("АВЕЅІЈКМНОРСТУХѴԌԚԜҮҺЗԁԛԝ", "ABESIJKMHOPCTYXVGQWYh3dqw"),
    ("аеѕіјкмнорстухѵԍүһӏвгпиь", "aesijkmhopctyxvgyhlBrnub"),
    # Greek
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹͿ", "ABEZHIKMNOPTYXCJ"),
    ("αγεηικνορτυωχϲϳβ", "ayenikvoptuwxcjB"),
    # Armenian
    ("ՍՏՕԼՈհոսցօզյնգւ", "USOLnhnugoqjuqL"),
    # Latin
    ("ɑɡıȷɩʟɪʀʙʜɴᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢ", "agijiLIRBHNACDEJKMOPTUVWZ"),
)
_TABLE = {ord(one): latin for letters, same in _PAIRS for one, latin in zip(letters, same, strict=True)}
_TABLE_AND_ACCENTS = {**_TABLE, **dict.fromkeys(range(0x300, 0x370))}


def latin(text: str) -> str:
    """The text in the Latin letters that it looks like, without accents."""
    return unicodedata.normalize("NFKD", text).translate(_TABLE_AND_ACCENTS)
