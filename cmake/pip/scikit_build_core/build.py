"""Stands in for the build backend of a source package that pip fetches (fetch_package in setup.sh): pip asks it for the
package's description and gets the one that lies in the archive. So nothing of the archive runs, and pip fetches no real
backend for it."""

import email
import pathlib
import shutil


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8") as description:
        fields = email.message_from_file(description)
    folder = pathlib.Path(metadata_directory, f"{fields['Name'].replace('-', '_')}-{fields['Version']}.dist-info")
    folder.mkdir()
    shutil.copyfile("PKG-INFO", folder / "METADATA")
    return folder.name
