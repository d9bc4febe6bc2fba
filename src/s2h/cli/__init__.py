"""The command ``s2h``: a module for each verb, or for a few that belong together.

A new verb is a module with a Typer called ``app`` that holds it, and a line in ``s2h.cli.app``. What takes long to
import is imported inside the functions, so that ``s2h --help`` answers at once.
"""
