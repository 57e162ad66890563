"""What to try next: a curl line a feature, with the demo's own address and credentials."""

import json
import shlex
from typing import Any

from hookline_client import Client


def tour(client: Client, user: str, password: str, receiver_port: int) -> str:
    """Return the lines to print; they run as they are while the demo is up."""
    newest = client.list("SYSTEM")[0].id
    log_id = client.log_page(newest, page_size=1).records[0].id
    webhook = {
        "url": f"http://127.0.0.1:{receiver_port}/mine",
        "triggers": ["NODE_CREATED"],
        "associationType": "PROJECT",
        "associationId": "try",
        "resourceKeyPattern": r".*\.apk",
    }
    event = {"type": "NODE_CREATED", "projectId": "try", "repoName": "apps", "resourceKey": "/a.apk", "userId": user}
    curl = f"curl -su {user}:{password}"
    api = client.base
    lines = {
        "create a webhook": f"{curl} -i {_json(webhook)} {api}/webhook/create",
        "publish an event to it (it appears here)": f"{curl} {_json(event)} {api}/event/publish",
        "list webhooks": f"{curl} '{api}/webhook/list?associationType=PROJECT'",
        "get one": f"{curl} {api}/webhook/{newest}",
        "change one": f"{curl} -X PUT {_json({'id': newest, 'triggers': ['NODE_CREATED']})} {api}/webhook/update",
        "send a test": f"{curl} -X POST {api}/webhook/test/{newest}",
        "read its logs, three a page": f"{curl} '{api}/log/list/{newest}?pageNumber=1&pageSize=3'",
        "send a log's payload again": f"{curl} -X POST {api}/webhook/retry/{log_id}",
        "read the signing secret": f"{curl} {api}/webhook/secret/{newest}",
        "see a refusal, in Chinese": f"{curl} -H 'Accept-Language: zh' {api}/webhook/nothing",
        "delete one": f"{curl} -X DELETE {api}/webhook/delete/{newest}",
    }
    shown = "\n".join(f"# {what}\n{line}" for what, line in lines.items())
    return (
        f"\nThe service stays up. Its dashboard is at {api.removesuffix('/webhook/api')}/ (user {user}, password "
        f"{password}).\nIn another terminal, try:\n\n{shown}\n\nDeliveries appear below. Ctrl-C stops all.\n"
    )


def _json(body: dict[str, Any]) -> str:
    return f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
