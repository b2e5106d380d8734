"""Where in a source there is behaviour that a mutation can change; with `ast` only, the tool is not needed."""

import ast
import builtins
from collections.abc import Iterator

__all__ = ["Layout", "Position"]

Position = tuple[int, int]  # line from 1, column from 0 in characters, as the tool counts
_Span = tuple[Position, Position]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Layout:
    """What stands where in a source."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines()
        tree = ast.parse(source)
        self._inert = [self._span(node) for node in _inert(tree)]
        self._operators = [
            (self._span(node.left)[1], self._span(node.right)[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.BinOp)
        ]
        self._definitions = [(self._span(node), name) for node, name in _definitions(tree, "")]

    def is_behaviour(self, position: Position) -> bool:
        """Whether what stands there does something: it is in no annotation, type alias, decorator or f-string."""
        return not any(start <= position < end for start, end in self._inert)

    def is_binary_operator(self, position: Position) -> bool:
        """Whether an operator of two operands stands there; for the tool the `*` before keyword arguments is one."""
        return any(start <= position < end for start, end in self._operators)

    def definition_at(self, position: Position) -> str:
        """Return the qualified name of the innermost function or class around a position, `<module>` if none is."""
        around = [name for (start, end), name in self._definitions if start <= position < end]
        return around[-1] if around else "<module>"

    def _span(self, node: ast.expr | ast.stmt) -> _Span:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._position(node.lineno, node.col_offset), self._position(end_line, end_column)

    def _position(self, line: int, byte: int) -> Position:
        """Return a position in characters: `ast` counts bytes of UTF-8."""
        return line, len(self._lines[line - 1].encode()[:byte].decode())


def _inert(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that do nothing worth mutating."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
                yield annotation
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from node.decorator_list
                if node.returns is not None:
                    yield node.returns
            case ast.ClassDef():
                yield from node.decorator_list
            case ast.JoinedStr():  # the words of an error message, and the arithmetic in them
                yield node
            case ast.Assign(value=value) if _is_type(value):
                yield value


def _is_type(node: ast.expr) -> bool:
    """Whether an expression can only be a type: `bytes | None`, `dict[str, _Train]`, but not `FIN | PSH`."""
    match node:
        case ast.BinOp(op=ast.BitOr()):
            return _is_type(node.left) and _is_type(node.right)
        case ast.Subscript():
            return _is_type(node.value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            known = isinstance(getattr(builtins, name, None), type)
            return known or (name.lstrip("_")[:1].isupper() and not name.isupper())
        case ast.Constant(value=value):
            return value is None
    return False


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[_Function | ast.ClassDef, str]]:
    """Yield functions and classes with their qualified names, outer ones first."""
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, _Function | ast.ClassDef):
            yield child, prefix + child.name
            inner = f"{prefix}{child.name}."
        yield from _definitions(child, inner)
