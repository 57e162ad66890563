"""The texts of errors in payload formats and templates; app.messages has them in its catalogue."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "template_syntax": (
        "{field}, line {line}: {detail}",
        "参数 {field} 第 {line} 行：{detail}",
    ),
    "template_forbidden": (
        "{field}, line {line}: {value} is not allowed in templates",
        "参数 {field} 第 {line} 行：模板中不允许使用 {value}",
    ),
    "template_unknown": (
        "{field}, line {line}: there is no {value}; known: {known}",
        "参数 {field} 第 {line} 行：没有 {value}，可用的有：{known}",
    ),
    "template_arguments": (
        "{field}, line {line}: {value} does not take these arguments",
        "参数 {field} 第 {line} 行：{value} 的参数不正确",
    ),
    "template_deep": (
        "{field}, line {line}: nested too deeply",
        "参数 {field} 第 {line} 行：嵌套过深",
    ),
    "template_alone": (
        "{field} may be given only together with payloadFormat: template",
        "参数 {field} 只能与 payloadFormat: template 一起使用",
    ),
    "payload_failed": ("{field}: the payload can't be built: {detail}", "参数 {field}：无法生成负载：{detail}"),
    "cloud_data": (
        "{field} must be a JSON object, given as application/json",
        "{field} 必须是 JSON 对象，类型为 application/json",
    ),
}
