"""What may stand in a payload template, as a tree of Jinja's; see app.template_sandbox. Pure."""

import inspect
from collections.abc import Iterable
from typing import Any, Final, cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from app.errors import BadRequest
from app.fields import INVALID
from app.template_budget import MAX_NUMBER
from app.template_filters import FILTERS, TESTS
from app.template_operators import COMPARE, CONCAT, EACH, SLICE

FIELD: Final = "payloadTemplate"
MAX_DEPTH = 64  # of the tree
MAX_LOOPS = 4  # one in another
NODES_A_STEP = 4  # what a round of a loop takes grows with what stands in the loop

_ALLOWED: Final = frozenset(
    {
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.With),
        *(nodes.Name, nodes.Const, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Tuple, nodes.CondExpr),
        *(nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Compare, nodes.Operand),
        *(nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.And, nodes.Or),
        *(nodes.Not, nodes.Neg, nodes.Pos),
    }
)
_TAGS = {
    **{"Call": "a call", "Pow": "**", "FromImport": "import", "CallBlock": "call", "FilterBlock": "a block of filter"},
    **{"AssignBlock": "a block of set", "Scope": "autoescape", "NSRef": "namespace"},
}


class Guard(NodeTransformer):
    """Refuses what is not on the list, and puts functions that count in place of operators.

    Raises BadRequest, naming the line.
    """

    def __init__(self, fields: dict[str, frozenset[str]], reserved: frozenset[str]) -> None:
        self._fields = fields
        self._reserved = reserved
        self._depth = 0
        self._loops = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Return what takes the place of `node`."""
        if type(node) not in _ALLOWED:
            name = type(node).__name__
            raise BadRequest(INVALID, "template_forbidden", **place(node, _TAGS.get(name, name.lower())))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadRequest(INVALID, "template_deep", **place(node))
        done = super().visit(node, *args, **kwargs)
        self._depth -= 1
        return done

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Have each round counted, by what stands in the loop."""
        if node.recursive:
            raise BadRequest(INVALID, "template_forbidden", **place(node, "recursive"))
        if self._loops == MAX_LOOPS:
            raise BadRequest(INVALID, "template_deep", **place(node))
        self._loops += 1
        self.generic_visit(node)
        self._loops -= 1
        inside = sum(1 for part in (*node.body, node.test) if part for _ in part.find_all(nodes.Node))
        steps = nodes.Const(1 + inside // NODES_A_STEP, lineno=node.lineno)
        node.iter = _function(EACH, cast(nodes.Expr, node.iter), [steps])
        return node

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        """Keep names apart from what Jinja and this service give a meaning."""
        if node.ctx != "load" and node.name in self._reserved:
            raise BadRequest(INVALID, "template_forbidden", **place(node, f"set {node.name}"))
        if node.name == "self":
            raise BadRequest(INVALID, "template_forbidden", **place(node, node.name))
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:
        """Refuse numbers that are dear to work with."""
        if type(node.value) is int and abs(node.value) > MAX_NUMBER:
            raise BadRequest(INVALID, "template_forbidden", **place(node, "a number so large"))
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        """Have keys be texts, as JSON has them."""
        if not isinstance(node.key, nodes.Const) or not isinstance(node.key.value, str):
            raise BadRequest(INVALID, "template_forbidden", **place(node, "a key that is no text"))
        return self.generic_visit(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        """Take `(a, b)` for a list, except where two names are set at once."""
        self.generic_visit(node)
        return node if node.ctx == "store" else nodes.List(node.items, lineno=node.lineno)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        """Refuse members that there will never be."""
        known = self._fields.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        if known is not None and node.attr not in known:
            raise BadRequest(INVALID, "template_unknown", **place(node, node.attr, known))
        return self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """Have parts of texts and lists taken by a function."""
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        part = node.arg
        bounds = [bound or nodes.Const(None, lineno=node.lineno) for bound in (part.start, part.stop, part.step)]
        return _function(SLICE, node.node, bounds)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """Have comparisons made by a function."""
        self.generic_visit(node)
        rest = [part for each in node.ops for part in (nodes.Const(each.op, lineno=node.lineno), each.expr)]
        return _function(COMPARE, node.expr, rest)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Have texts joined by a function."""
        self.generic_visit(node)
        return _function(CONCAT, node.nodes[0], node.nodes[1:])

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        """Refuse filters that there are not, and arguments that they don't take."""
        self._check_function(node, FILTERS)
        options = {str(each.key): None for each in node.kwargs if isinstance(each, nodes.Keyword)}
        try:
            inspect.signature(FILTERS[node.name]).bind(*[None] * (2 + len(node.args)), **options)
        except TypeError as error:
            raise BadRequest(INVALID, "template_arguments", **place(node, node.name)) from error
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        """Refuse tests that there are not; none of ours takes arguments."""
        self._check_function(node, TESTS)
        if node.args or node.kwargs:
            raise BadRequest(INVALID, "template_arguments", **place(node, node.name))
        return self.generic_visit(node)

    def _check_function(self, node: nodes.Filter | nodes.Test, known: Iterable[str]) -> None:
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise BadRequest(INVALID, "template_forbidden", **place(node, node.name))
        if node.name not in known:
            raise BadRequest(INVALID, "template_unknown", **place(node, node.name, known))


def place(node: nodes.Node, value: str = "", known: Iterable[str] = ()) -> dict[str, Any]:
    """Return what messages tell of a node and of what should not stand there."""
    return {"field": FIELD, "line": node.lineno or 1, "value": value, "known": ", ".join(sorted(known))}


def _function(name: str, value: nodes.Expr, arguments: list[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(value, name, arguments, [], None, None, lineno=value.lineno)
