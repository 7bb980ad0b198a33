"""Writes what the Python package has of each plan, from what `baracuda_bindings --json` and the public headers tell:

python/baracuda/_ops.py   a class for each op, with its header's comment
python/src/members.inc    the members of its C structs

    baracuda_bindings --json | python3 tools/bindings/python.py FOLDER

FOLDER is the top of the tree, or another for a look.
"""

import json
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEAD = "Printed by tools/bindings/python.py, for `make bindings`."

CPP_KINDS = {"flag": "Flag", "integer": "Integer", "real": "Real", "dims": "Dims", "enum": "Integer", "name": "Name",
             "set": "Integer"}
PYTHON_TYPES = {"flag": "bool", "integer": "int", "real": "float", "dims": "Sequence[int]", "tensor": "Tensor",
                "vector": "Tensor"}


def camel_case(name):
    return "".join(word.capitalize() for word in name.split("_"))


class Headers:
    """The comments of the public headers with what is described."""

    def __init__(self):
        paths = [ROOT / "baracuda/core/preference.h", *sorted((ROOT / "baracuda/ops").glob("*/*.h"))]
        self.text = "".join(path.read_text() for path in paths)

    def comment(self, struct):
        """What stands before a struct."""
        return self.lines(re.search(rf"((?:^///.*\n)+)struct (?:BARACUDA_API )?{struct} ", self.text, re.MULTILINE)[1])

    def members(self, struct):
        """Member → its comment, before or behind it."""
        body = re.search(rf"^struct (?:BARACUDA_API )?{struct} {{\n(.*?)^}};", self.text, re.MULTILINE | re.DOTALL)[1]
        members = re.finditer(r"((?:^  ///.*\n)*)^  \w[^\n;]*?(\w+)(?: = [^\n;]*)?;(?: *(///<.*))?$", body, re.MULTILINE)
        return {match[2]: " ".join(self.lines(match[1] or match[3] or "").split()) for match in members}

    @staticmethod
    def lines(comment):
        return re.sub(r"^ *///<? ?", "", comment, flags=re.MULTILINE).rstrip()


def python_type(field):
    if "enum" in field:
        alias = "ElementLike" if field["enum"] == "element" else camel_case(field["enum"])
        return f"Collection[{alias}]" if field["kind"] == "set" else alias
    return PYTHON_TYPES[field["kind"]]


def parameter(field):
    """As in a signature."""
    if field["optional"]:
        return f"{field['name']}: {python_type(field)} | None = None"
    if field["kind"] in ("dims", "name", "tensor", "vector"):
        return f"{field['name']}: {python_type(field)}"
    default = tuple(field["default"]) if field["kind"] == "set" else field["default"]
    return f"{field['name']}: {python_type(field)} = {default!r}".replace("'", '"')


def converted(owner, field, value):
    """What the C struct's member is given."""
    if field["kind"] == "set":
        return f'set_bits("{owner}: {field["name"]}", {field["enum"].upper()}, {value})'
    if field["kind"] == "enum":
        function = "element_number" if field["enum"] == "element" else "enum_number"
        return f'{function}("{owner}: {field["name"]}", {field["enum"].upper()}, {value})'
    return value


def call(opening, items, closing, indent):
    """A list over lines, one item each."""
    return f"{indent}{opening}\n" + "".join(f"{indent}    {item},\n" for item in items) + f"{indent}{closing}\n"


def docstring(text, indent):
    return f'{indent}"""' + textwrap.indent(text, indent, lambda line: line.strip()).lstrip() + f'\n{indent}"""\n'


def explained(struct, members):
    """An item for each field whose member in C++ has a comment."""
    described = ((field["name"], members.get(field["name"]) or members.get(field["name"] + "_shape"))
                 for field in struct["fields"])
    return [textwrap.fill(f"- {name}: {comment}", 112, subsequent_indent="  ") for name, comment in described if comment]


def plan_class(op, headers):
    name = op["plan"].removesuffix("Plan")
    descriptor, args = op["descriptor"]["fields"], op["args"]["fields"]
    fields = explained(op["descriptor"], headers.members(f"{name}Descriptor"))
    arguments = explained(op["args"], headers.members(f"{name}Args"))
    doc = headers.comment(f"{name}Descriptor")
    if fields:
        doc += "\n\nFields. Unset is None, and an enumerator its name: PerChannel is \"per_channel\", I8 is \"i8\".\n"
        doc += "\n".join(fields)
    run = ["self", "*", *map(parameter, sorted(args, key=lambda field: field["optional"])),
           "workspace: Tensor | None = None", "stream: StreamLike | None = None"]
    bind = f"self._bind(({', '.join(field['name'] for field in args)}), workspace, stream)"
    written = [field["name"] for field in args if field.get("writable")]
    bind_doc = f"The plan with its tensors, to be called as often as wanted. Written: {', '.join(written)}."
    if arguments:
        bind_doc += "\n\n" + "\n".join(arguments)
    return (
        f"\n\nclass {name}(Plan):\n{docstring(doc, '    ')}\n    __slots__ = ()\n\n"
        + call("def __init__(", ["self", "*", *map(parameter, descriptor), 'device: Any = "cpu"',
                                 "num_threads: int = 0", "preference: Preference | None = None"], ") -> None:", "    ")
        + "        fields = (\n"
        + "".join(f"            {converted(name, field, field['name'])},\n" for field in descriptor)
        + f'        )\n        self._select("{op["name"]}", fields, device, num_threads, demands("{name}", preference))\n\n'
        + call("def bind(", run, ") -> Call:", "    ") + docstring(bind_doc, " " * 8) + f"        return {bind}\n\n"
        + call("def __call__(", run, ") -> None:", "    ")
        + docstring("One run of it. The arguments are those of `bind`.", " " * 8).replace("\n" + " " * 8 + '"""', '"""')
        + f"        {bind}()\n")


def preference_class(preference, headers):
    fields = preference["fields"]
    doc = headers.comment("PlanPreference") + "\n\n"
    doc += "\n".join(explained(preference, headers.members("PlanPreference")))
    return (
        f"\n\n@dataclasses.dataclass(frozen=True, kw_only=True)\nclass Preference:\n{docstring(doc, '    ')}\n"
        + "".join(f"    {parameter(field)}\n" for field in fields)
        + "\n    def _members(self) -> tuple[Any, ...]:\n        return (\n"
        + "".join(f"            {converted('Preference', field, 'self.' + field['name'])},\n" for field in fields)
        + "        )\n\n\n"
        + "def demands(owner: str, preference: Preference | None) -> tuple[Any, ...]:\n"
        + '    """The values of a preference\'s members."""\n'
        + "    if not isinstance(preference, Preference | None):\n"
        + '        raise TypeError(f"{owner}: preference must be a Preference, not {preference!r}")\n'
        + "    return (preference or Preference())._members()\n")


def literal(alias, names):
    text = textwrap.fill(", ".join(f'"{name}"' for name in names), 116)
    return f"{alias}: TypeAlias = Literal[\n{textwrap.indent(text, '    ')}\n]\n"


def python_module(description):
    enums, headers = description["enums"], Headers()
    aliases = [literal(camel_case(name), values) for name, values in enums.items()]
    aliases.append('ElementLike: TypeAlias = Element | Any  # a dtype, too\n')
    aliases.append(literal("ElementwiseOp", description["operators"]))
    tables = [f"{name.upper()} = " + "{\n" + "".join(f'    "{key}": {value},\n' for key, value in values.items()) + "}\n"
              for name, values in enums.items()]
    names = ["Preference", *(op["plan"].removesuffix("Plan") for op in description["ops"])]
    return (
        f'"""A class for each op. {HEAD}"""\n\n# fmt: off\n\nfrom __future__ import annotations\n\nimport dataclasses\n'
        "from collections.abc import Collection, Sequence\nfrom typing import Any, Literal, TypeAlias\n\n"
        "from ._plan import Call, Plan, Tensor, element_number, enum_number, set_bits\nfrom ._streams import StreamLike\n\n"
        + "\n".join([call("__all__ = [", [f'"{name}"' for name in names], "]", ""), *aliases, *tables])
        + preference_class(description["preference"], headers)
        + "".join(plan_class(op, headers) for op in description["ops"]))


def members(name, c_struct, fields):
    rows = []
    for field in fields:
        if field["kind"] in ("tensor", "vector"):
            rows.append(f"VIEW({c_struct}, {field['name']}, {str(field['writable']).lower()})")
        else:
            macro = "OPTIONAL_FIELD" if field["has_flag"] else "FIELD"
            rows.append(f"{macro}({c_struct}, {field['name']}, {CPP_KINDS[field['kind']]})")
    return f"constexpr Member k{name}[] = {{\n" + "".join(f"    {row},\n" for row in rows) + "};\n"


def members_inc(description):
    arrays, ops = [members("Preference", "preference", description["preference"]["fields"])], ""
    for op in description["ops"]:
        name = op["plan"].removesuffix("Plan")
        arrays.append(members(f"{name}Fields", f"{op['name']}_descriptor", op["descriptor"]["fields"]))
        arrays.append(members(f"{name}Args", f"{op['name']}_args", op["args"]["fields"]))
        ops += f"    OP({op['name']}, {name}),\n"
    return f"// {HEAD}\n\n" + "\n".join(arrays) + f"\nconstexpr Op kAllOps[] = {{\n{ops}}};\n"


def main():
    description, folder = json.load(sys.stdin), pathlib.Path(sys.argv[1])
    for path, text in (("python/baracuda/_ops.py", python_module(description)),
                       ("python/src/members.inc", members_inc(description))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


if __name__ == "__main__":
    main()
