"""Findings of ``check`` on files: what their names, headers and ends say."""

from __future__ import annotations

from collections.abc import Mapping

from visionkit.data.findings.kind import FindingKind

__all__ = ["CHECKED_FILES"]

_REPLACE = "Replace or remove them."

CHECKED_FILES: Mapping[str, FindingKind] = {
    "data-set-refused": FindingKind(
        severity="error", text="reason why nothing can be trained on this data set: {reason}",
        remedy="Mend this first, and check again.",
        why="The readers of the data set stop here, so that only its files can be looked at.",
    ),
    "file-empty": FindingKind(
        severity="warning", text="image file(s) of 0 bytes",
        remedy=_REPLACE,
        why="A copy or a download that was cut before it began, or a disk without room.",
    ),
    "file-denied": FindingKind(
        severity="warning", text="file(s) or folder(s) that may not be read",
        remedy="Let this user read them.",
        why="They belong to another user, or were packed without permissions.",
    ),
    "file-gone": FindingKind(
        severity="warning", text="file(s) of the data set that are not there",
        remedy="Copy them again; if something writes to the folder, check it when that is done.",
        why="Files were removed while they were looked at, or a link leads nowhere.",
    ),
    "file-not-image": FindingKind(
        severity="warning", text="file(s) with an image's ending that hold no picture",
        remedy=_REPLACE,
        why="Pages of errors that were downloaded in the place of pictures, texts, or other files renamed.",
    ),
    "file-truncated": FindingKind(
        severity="warning", text="image file(s) that are cut short",
        remedy=_REPLACE,
        why="A copy or a download that was broken off. The rows that are missing are grey or black, or the file cannot "
        "be read at all.",
    ),
    "file-trailing": FindingKind(
        severity="note", text="image file(s) with something behind the picture",
        remedy="Nothing, if these are photos of a telephone, which appends films and depths.",
        why="What is behind the end of a picture is not read. It may be a film, a hidden message, or half of another "
        "file.",
    ),
    "file-header-broken": FindingKind(
        severity="warning", text="image file(s) whose header is broken",
        remedy=_REPLACE,
        why="They begin as pictures do, and their sizes or tables make no sense.",
    ),
    "codec-missing": FindingKind(
        severity="warning", text="image file(s) of a form that is not read here",
        remedy="Convert them to JPEG or PNG, or install what reads them: pip install pillow-heif for HEIC and AVIF.",
        why="Photos of telephones are often HEIC; without its reader such images are left out, and a class may lack "
        "half of its images.",
    ),
    "suffix-differs": FindingKind(
        severity="note", text="image file(s) of another form than their ending says: {forms}",
        remedy="Nothing for visionkit, which reads what a file is. Other programs may need: rename them.",
        why="Renaming a file converts nothing. Programs that believe the ending fail on such files, or read them "
        "otherwise.",
    ),
    "image-frames": FindingKind(
        severity="note", text="image file(s) with several pictures, of which the first is read",
        remedy="Save the pictures one by one, if others than the first matter.",
        why="Animated GIF and WebP files, TIFF files of several pages, and the films of telephones.",
    ),
    "image-bomb": FindingKind(
        severity="warning", text="image(s) of more pixels than dataset.max_pixels={limit}, which a training leaves out",
        remedy="Make them smaller, or allow them: dataset.max_pixels=NUMBER",
        why="An image of many pixels fills memory; some files are made for that.",
        otherwise="Make them smaller.",
    ),
    "system-files": FindingKind(
        severity="note", text="file(s) and folder(s) of systems and tools, which are not read",
        remedy="Nothing.",
        why="Thumbnails, and what systems note of folders: Thumbs.db, .DS_Store, ._photo.jpg, @eaDir.",
    ),
    "link-loop": FindingKind(
        severity="warning", text="link(s) that lead back to a folder they lie in, not followed",
        remedy="Remove them.",
        why="Who follows them never ends, or counts each image again and again.",
    ),
    "names-case": FindingKind(
        severity="warning", text="name(s) that are those of another file but for capital letters",
        remedy="Rename one of each pair.",
        why="Windows and macOS take both for one name: copied there, one file replaces the other.",
    ),
    "name-unportable": FindingKind(
        severity="note", text="name(s) that other systems cannot store, or write otherwise",
        remedy='Rename them without the characters < > : " | ? * and \\, in UTF-8, without spaces or dots at the end.',
        why="Windows refuses such names, and archives change them; then annotations no longer find their images.",
    ),
    "stem-repeated": FindingKind(
        severity="note", text="image(s) named like another of the same folder but for the ending",
        remedy="Keep one of them, if they are the same picture.",
        why="A picture that was converted and kept in both forms counts twice, and annotations that name images "
        "without an ending fit both.",
    ),
    "image-unread": FindingKind(
        severity="note", text="image file(s) below the folder of the data set that no split has",
        remedy="Nothing, if they are no samples. Else see what is said of folders, lists and annotations.",
        why="Images beside the folders or lists that are read: a split under another name, pictures without "
        "annotations, thumbnails.",
    ),
}  # fmt: skip
