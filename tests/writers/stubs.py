"""Stands for the libraries of services: records what they are told."""

import sys
from types import ModuleType, SimpleNamespace


def install(monkeypatch, name, **contents):
    """Put a module in the place of a library, installed or not."""
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


class Calls:
    """An object whose methods record their calls; `answers` are what they return, by name."""

    def __init__(self, **answers):
        self.made, self._answers = [], answers

    def __getattr__(self, name):
        def call(*arguments, **named):
            self.made.append((name, arguments, named))
            return self._answers.get(name)

        return call

    def of(self, name):
        return [(arguments, named) for made, arguments, named in self.made if made == name]


def some(**attributes):
    return SimpleNamespace(**attributes)
