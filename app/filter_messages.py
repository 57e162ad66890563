"""The texts of errors in filters; app.messages has them in its catalogue. `field` is the place in the filter."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "filter_empty": ("{field} must not be empty", "{field} 不能为空"),
    "filter_json": (
        "{field}, line {line}, column {column}: not valid JSON: {detail}",
        "参数 {field} 第 {line} 行第 {column} 列：不是合法的 JSON：{detail}",
    ),
    "filter_deep": (
        "{field}: conditions are nested deeper than {limit} levels",
        "{field}：条件嵌套超过 {limit} 层",
    ),
    "filter_many": ("{field}: a filter has at most {limit} conditions", "{field}：过滤器最多包含 {limit} 个条件"),
    "filter_long": ("{field} is longer than {limit} bytes of JSON", "{field} 的 JSON 超过 {limit} 字节"),
    "filter_operator": (
        "{field}: there is no such operator; known: {known}",
        "{field}：没有该运算符，可用的有：{known}",
    ),
    "filter_name": (
        "{field}: an event has no such field; known: {known}",
        "{field}：事件没有该字段，可用的有：{known}",
    ),
    "filter_path": (
        "{field} is not a path: names with a dot between each two",
        "{field} 不是合法的路径，应为以点号分隔的名称",
    ),
    "filter_condition": (
        "{field} must be a string, a number, true, false, null or an object of conditions",
        "{field} 必须是字符串、数字、true、false、null 或由条件组成的对象",
    ),
    "filter_value": (
        "{field} must be a string, a number, true, false or null",
        "{field} 必须是字符串、数字、true、false 或 null",
    ),
    "filter_ordered": ("{field} must be a number or a string", "{field} 必须是数字或字符串"),
    "filter_mixed": (
        "{field} compares a value, so it can't stand beside the names of parts",
        "{field} 用于比较一个值，不能与子字段的名称并列",
    ),
    "filter_unnamed": (
        "{field} does not say what it compares; put it under a name such as resourceKey",
        "{field} 没有说明比较的对象，请放在字段名（如 resourceKey）之下",
    ),
}
