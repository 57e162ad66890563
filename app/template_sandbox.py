"""Jinja for people who are not trusted: a part of its language, and nothing of Python behind it.

Jinja's own sandbox keeps templates from what they must not reach, not from what takes forever. So the template's tree
is checked against a list of what may stand in it, and whatever may grow is put in the hands of functions that count
(app.template_operators, app.template_filters). There are no calls and no attributes: `a.b` is a member of an object, or
a loop's counter.
"""

from collections.abc import Iterable
from typing import Any, Final, NoReturn

from jinja2 import Template, TemplateSyntaxError, meta, nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from app.errors import BadRequest
from app.fields import INVALID
from app.template_budget import TemplateFault, budget_of, described, number
from app.template_filters import FILTERS, TESTS, counted
from app.template_guard import FIELD, Guard, place
from app.template_operators import OPERATORS, arithmetic

_COUNTERS: Final = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"}
)


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all payload templates."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self) -> None:
        # Not optimized: nothing is to be worked out where nobody counts.
        super().__init__(optimized=False, cache_size=0, trim_blocks=True, lstrip_blocks=True, finalize=_finalize)
        self.globals.clear()
        self.tests = dict(TESTS)
        self.filters = {name: counted(function) for name, function in {**FILTERS, **OPERATORS}.items()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a member of an object, or a counter of a loop."""
        if type(obj) is dict:
            found = obj.get(attribute, self)
            return self.undefined(obj=obj, name=attribute) if found is self else found
        if type(obj) is LoopContext and attribute in _COUNTERS:
            return getattr(obj, attribute)
        return self.undefined(obj=None, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return a member of an object, an item of a list, or a character of a text."""
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, str | list | tuple) and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=None, name=described(argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return what `+` and so on give. Raises TemplateFault."""
        return arithmetic(budget_of(context), operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """Return a number with its sign, or with the other. Raises TemplateFault."""
        return -number(arg) if operator == "-" else number(arg)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: no template that is compiled has a call."""
        raise TemplateFault("calls are not allowed")


@pass_context
def _finalize(context: Context, value: Any) -> str:
    return budget_of(context).text(value)


_SANDBOX = _Sandbox()


def compile_template(source: str, variables: Iterable[str], fields: dict[str, frozenset[str]]) -> Template:
    """Return `source` compiled. It may use `variables`; of those in `fields`, only these members.

    Raises BadRequest, naming the line.
    """
    try:
        tree = _SANDBOX.parse(source)
        checked = Guard(fields, frozenset(variables)).visit(tree)
        _refuse_unknown(checked, frozenset(variables))
        checked.set_environment(_SANDBOX)
        code = _SANDBOX.compile(checked, filename="<template>")
    except TemplateSyntaxError as error:
        raise BadRequest(INVALID, "template_syntax", field=FIELD, line=error.lineno, detail=error.message) from error
    except (RecursionError, SyntaxError, MemoryError) as error:
        raise BadRequest(INVALID, "template_deep", field=FIELD, line=1) from error
    except (ValueError, OverflowError) as error:  # a number of thousands of digits, for one
        raise BadRequest(INVALID, "template_syntax", field=FIELD, line=1, detail=error) from error
    return Template.from_code(_SANDBOX, code, {})


def _refuse_unknown(tree: nodes.Template, known: frozenset[str]) -> None:
    unknown = meta.find_undeclared_variables(tree) - known
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            raise BadRequest(INVALID, "template_unknown", **place(name, name.name, known))
