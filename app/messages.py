"""The texts of error answers, in English and Chinese (contract §1)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app import filter_messages, format_messages

LANGUAGES = ("en", "zh")
_SHOWN = 64

# reason -> (English, Chinese)
CATALOGUE: dict[str, tuple[str, str]] = {
    # any parameter
    "missing": ("{field} is required", "缺少参数 {field}"),
    "empty": ("{field} must not be empty", "参数 {field} 不能为空"),
    "invalid": ("{field} is invalid", "参数 {field} 无效"),
    "not_string": ("{field} must be a string", "参数 {field} 必须是字符串"),
    "not_list": ("{field} must be a list", "参数 {field} 必须是数组"),
    "not_object": ("{field} must be an object", "参数 {field} 必须是对象"),
    "not_boolean": ("{field} must be true or false", "参数 {field} 必须是 true 或 false"),
    "not_in_range": (
        "{field} must be a whole number from {low} to {high}",
        "参数 {field} 必须是 {low} 到 {high} 之间的整数",
    ),
    "too_long": ("{field} is longer than {limit} characters", "参数 {field} 超过 {limit} 个字符"),
    "too_many": ("{field} has more than {limit} entries", "参数 {field} 超过 {limit} 项"),
    "control_characters": (
        "{field} must not hold control characters",
        "参数 {field} 不能包含控制字符",
    ),
    "not_one_of": ("{field}: {value} is not one of {known}", "参数 {field}：{value} 不是 {known} 之一"),
    "given_twice": (
        "{field} and {other} are given with different values",
        "参数 {field} 与 {other} 的值不一致",
    ),
    # webhooks
    "url_scheme": ("{field} must begin with http:// or https://", "参数 {field} 必须以 http:// 或 https:// 开头"),
    "url_userinfo": (
        "{field} must not hold a user name or password; use headers or a token",
        "参数 {field} 不能包含用户名或密码，请使用请求头或 token",
    ),
    "url_host": ("{field} has no usable host name", "参数 {field} 的主机名无效"),
    "url_port": ("{field} has no usable port", "参数 {field} 的端口无效"),
    "url_characters": (
        "{field} must not hold white space, control characters or backslashes",
        "参数 {field} 不能包含空白、控制字符或反斜杠",
    ),
    "trigger_unknown": ("{field}: unknown event type {value}", "参数 {field}：未知的事件类型 {value}"),
    "association_system": (
        "{field} must be empty where the association is SYSTEM",
        "关联类型为 SYSTEM 时参数 {field} 必须为空",
    ),
    "association_project": ("{field} must be a project id without a colon", "参数 {field} 必须是不含冒号的项目 id"),
    "association_repo": ("{field} must be projectId:repoName", "参数 {field} 必须是 projectId:repoName 的形式"),
    "pattern_refused": (
        "{field} is not a pattern that RE2 takes: {detail}",
        "参数 {field} 不是 RE2 可接受的正则表达式：{detail}",
    ),
    "header_characters": (
        "{field} must hold only visible ASCII characters, spaces and tabs",
        "参数 {field} 只能包含可见的 ASCII 字符、空格和制表符",
    ),
    "header_name": ("{field}: {value} is not a header name", "参数 {field}：{value} 不是合法的请求头名称"),
    "header_reserved": ("{field}: {value} is reserved", "参数 {field}：请求头 {value} 为保留项"),
    "header_repeated": (
        "{field}: {value} is given twice, in different case",
        "参数 {field}：请求头 {value} 重复，仅大小写不同",
    ),
    "masked": (
        "{field} is masked and is not the mask of the stored value; give the value itself",
        "参数 {field} 是掩码，且与已存储的值不符，请提供实际的值",
    ),
    "not_seconds": (
        "{field} must be a number of seconds from {low} to {high}, or 0 for what the settings say",
        "参数 {field} 必须是 {low} 到 {high} 之间的秒数，0 表示采用系统设置",
    ),
    "duration_form": (
        "{field}: {value} is not a duration such as 5s, 5m or 2h",
        "参数 {field}：{value} 不是形如 5s、5m 或 2h 的时长",
    ),
    "duration_range": ("{field} must be from {low} to {high}", "参数 {field} 必须在 {low} 到 {high} 之间"),
    "certificate_unreadable": (
        "{field} holds no certificate that can be read; give the chain and the key as PEM",
        "参数 {field} 中没有可读取的证书，请以 PEM 格式提供证书链和私钥",
    ),
    "certificate_key": (
        "{field} must hold one private key, not encrypted",
        "参数 {field} 必须包含一个未加密的私钥",
    ),
    "certificate_mismatch": (
        "{field}: the private key does not belong to the first certificate",
        "参数 {field}：私钥与第一个证书不匹配",
    ),
    "pending_alone": (
        "{field} may be given only together with enabled: true",
        "参数 {field} 只能与 enabled: true 一起使用",
    ),
    "trigger_operational": (
        "{field}: {value} is for webhooks of SYSTEM and of projects only",
        "参数 {field}：{value} 仅可用于 SYSTEM 或项目的 webhook",
    ),
    "secret_form": (
        "{field} must be whsec_ and the base64 of {low} to {high} bytes",
        "参数 {field} 必须是 whsec_ 加上 {low} 到 {high} 字节的 base64",
    ),
    "secret_scheme": (
        "{field} may be given only where signing is v1; a key pair is always made here",
        "参数 {field} 仅在 signing 为 v1 时可用，密钥对始终由服务端生成",
    ),
    "webhook_changed": (
        "the webhook was changed meanwhile; nothing was written",
        "webhook 已被他人修改，本次修改未保存",
    ),
    # logs
    "date_form": (
        "{field} must be a date such as 2021-12-27T00:00:00.000",
        "参数 {field} 必须是形如 2021-12-27T00:00:00.000 的日期",
    ),
    "date_or_age": (
        "{field} must be a date such as 2021-12-27T00:00:00.000, or how long ago, such as 10m or 2h",
        "参数 {field} 必须是形如 2021-12-27T00:00:00.000 的日期，或距今的时长，如 10m、2h",
    ),
    "dates_reversed": ("{field} is after {other}", "参数 {field} 晚于 {other}"),
    # bodies
    "body_empty": ("{field} is empty", "{field}：内容为空"),
    "body_malformed": ("{field} is not valid JSON: {detail}", "{field}：不是合法的 JSON：{detail}"),
    "body_bom": ("{field} must not begin with a byte order mark", "{field}：不能以字节顺序标记（BOM）开头"),
    "body_deep": ("{field} nests deeper than {limit} levels", "{field}：嵌套超过 {limit} 层"),
    "body_repeated_key": (
        "{field} gives the key {key} twice in one object",
        "{field}：同一对象中键 {key} 重复",
    ),
    "body_not_object": ("{field} must be a JSON object", "{field}：必须是 JSON 对象"),
    "body_not_events": ("{field} must be a JSON object or an array", "{field}：必须是 JSON 对象或数组"),
    "body_too_large": ("the body is larger than allowed", "请求体过大"),
    "length_required": ("lines of JSON need a Content-Length", "按行的 JSON 请求需要 Content-Length"),
    "event_too_large": ("{field} is larger than {limit} bytes", "{field} 超过 {limit} 字节"),
    "body_type": (
        "the Content-Type must be application/json in UTF-8",
        "Content-Type 必须是 UTF-8 编码的 application/json",
    ),
    "body_encoding": ("the Content-Encoding {value} is not supported", "不支持的 Content-Encoding {value}"),
    # who may do what
    "credentials_missing": ("authentication is required", "需要身份认证"),
    "credentials_malformed": ("the Authorization header can't be read", "无法解析 Authorization 请求头"),
    "credentials_wrong": ("the credentials are wrong", "身份认证失败"),
    "user_id_invalid": ("{field} is not a user id", "{field} 不是合法的用户 id"),
    "stream_nobody": (
        "a platform that acts for nobody has no secret; name a user with X-BKREPO-UID",
        "未代表任何用户的平台没有密钥，请用 X-BKREPO-UID 指定用户",
    ),
    "stream_both": (
        "{other} can't be given along with {field}: the webhook has its own",
        "{other} 不能与 {field} 同时指定：webhook 已有自己的设置",
    ),
    "too_many_streams": (
        "this server serves no more streams at present; try again in {retry_after} seconds",
        "当前的事件流数量已达上限，请在 {retry_after} 秒后重试",
    ),
    "too_many_failures": (
        "too many failed logins; try again in {retry_after} seconds",
        "登录失败次数过多，请在 {retry_after} 秒后重试",
    ),
    "association_forbidden": (
        "you may not manage the webhooks of {value}",
        "没有权限管理 {value} 的 webhook",
    ),
    "session_ended": (
        "your session has ended; log in again in another tab, then load this page anew",
        "会话已结束，请在另一个标签页重新登录，然后刷新本页",
    ),
    "administrators_only": ("this page is for administrators", "此页面仅供管理员使用"),
    "publish_forbidden": ("you may not publish events", "没有权限发布事件"),
    # users, their rights, access keys
    "name_form": (
        "{field} has 1 to {limit} printable characters, no colon and no space around it",
        "{field} 为 1 到 {limit} 个可打印字符，不能包含冒号，首尾不能有空格",
    ),
    "password_form": ("a password has 1 to {limit} printable characters", "密码为 1 到 {limit} 个可打印字符"),
    "password_short": ("a password has at least {limit} characters", "密码至少需要 {limit} 个字符"),
    "password_wrong": ("this is not your present password", "当前密码不正确"),
    "password_changed": ("the password has been changed meanwhile", "密码已在其他地方被修改"),
    "user_exists": ("user {value} exists already", "用户 {value} 已存在"),
    "user_unknown": ("there is no user {value}", "用户 {value} 不存在"),
    "scope_unknown": ("there is no scope {value}; known: {known}", "没有权限范围 {value}，可用的有：{known}"),
    "last_administrator": (
        "{value} is the only administrator; make another one first",
        "{value} 是唯一的管理员，请先指定另一位管理员",
    ),
    "own_rights": (
        "you can't take the rights of an administrator from yourself; another administrator can",
        "不能取消自己的管理员权限，请由其他管理员操作",
    ),
    "own_deletion": ("you can't delete yourself; another administrator can", "不能删除自己，请由其他管理员操作"),
    "own_password": ("change your own password on the page of your account", "请在“我的账户”页面修改自己的密码"),
    # what is not there
    "webhook_not_found": ("webhook not found", "webhook 不存在"),
    "log_not_found": ("webhook log not found", "webhook 日志不存在"),
    "resource_not_found": ("no such resource", "资源不存在"),
    "method_not_allowed": ("method not allowed", "不支持该请求方法"),
    "request_refused": ("the request can't be read", "无法解析该请求"),
    "event_not_found": ("event not found", "事件不存在"),
    "rejected_not_found": ("there is no such rejected event", "该被拒绝的事件不存在"),
    "delivery_not_found": ("delivery not found", "投递不存在"),
    "job_not_found": ("job not found", "任务不存在"),
    # sending again
    "events_unscoped": (
        "{field} is required of users who are not administrators",
        "非管理员用户必须提供参数 {field}",
    ),
    "events_forbidden": ("you may not see all events of {value}", "没有权限查看 {value} 的全部事件"),
    "webhook_deleted": ("the webhook was deleted", "webhook 已被删除"),
    "webhook_disabled": ("{field}: the webhook is disabled; enable it first", "参数 {field}：webhook 已停用，请先启用"),
    "replay_own_event": ("events that the service makes itself are not replayed", "服务自身产生的事件不能重放"),
    "replay_too_old": ("the event is so old that it may be removed at any moment", "事件过旧，随时可能被清理"),
    "replay_unmatched": ("the event does not match the webhook as it is now", "该事件与 webhook 当前的设置不匹配"),
    "job_unfinished": (
        "job {value} of this webhook is not finished yet; wait for its end or cancel it",
        "该 webhook 的任务 {value} 尚未结束，请等待其结束或取消",
    ),
    "job_finished": ("the job has ended already: {value}", "任务已结束：{value}"),
    "key_form": (
        "{field} must be 1 to {limit} visible ASCII characters",
        "{field} 必须是 1 到 {limit} 个可见的 ASCII 字符",
    ),
    "key_reused": (
        "{field} was given before with another request, job {value}",
        "{field} 已用于另一请求，任务 {value}",
    ),
    # our fault
    "unexpected": ("unexpected error; give the trace id when you report it", "系统错误，反馈时请提供 traceId"),
    "unavailable": ("the service is unavailable; try again later", "服务暂不可用，请稍后重试"),
    **filter_messages.TEXTS,
    **format_messages.TEXTS,
}


def text_of(reason: str, language: str, params: Mapping[str, Any]) -> str:
    """Return the text of `reason` in `language`, one of LANGUAGES. Raises KeyError for an unknown reason."""
    return CATALOGUE[reason][LANGUAGES.index(language)].format_map(params)


def shown(value: object) -> str:
    """Return a caller's value as it may stand in a message: as JSON, and not at any length."""
    text = msgspec.json.encode(value[: _SHOWN + 1] if isinstance(value, str) else value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
