"""A pipeline file from a look at the user's files: guesses, each marked as one."""

from headrace.guess.draft import draft
from headrace.guess.feeds import feeds
from headrace.guess.roles import Roles, roles

__all__ = ["Roles", "draft", "feeds", "roles"]
