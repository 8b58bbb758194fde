"""What the sandbox accepts and refuses, and how it says so."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.sandbox import SandboxOptions, create_sandbox
from tests.sandbox.asking import CHARACTER, CREATE, ManualClock, character, in_process

STATELESS = SandboxOptions(stateless=True)


async def create(body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Create a task in a fresh sandbox."""
    async with in_process(create_sandbox(STATELESS), **headers) as vendor:
        answer = await vendor.post(CREATE, json=body)
    return answer.status_code, answer.json()


async def test_a_creation_is_answered_as_documented():
    """Every member of the published example is there, with its figures."""
    clock = ManualClock(1_767_917_446_250)

    async with in_process(create_sandbox(STATELESS, now_ms=clock)) as vendor:
        answer = await vendor.post(CREATE, json=CHARACTER | {"timestamps": "1,3"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    task = answer.json()
    assert re.fullmatch(r"task-unified-1767917446-[a-z0-9]{8,}", task.pop("id"))
    assert task == {
        "created": 1767917446,
        "model": "sora-character",
        "object": "video.generation.task",
        "progress": 0,
        "status": "pending",
        "task_info": {"can_cancel": True, "estimated_time": 150, "video_duration": 8},
        "type": "video",
        "usage": {"billing_rule": "per_call", "credits_reserved": 0.1, "user_group": "vip"},
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamps": "0,2"},
        {"timestamps": "1"},
        {"timestamps": "3,1"},
        {"timestamps": " 1.5 , 3.5 "},
        {"timestamps": "0,1,2"},
        {"timestamps": None},
        {"video_url": "https://example.com/video.MOV?a=b"},
        {"video_url": "http://example.com/video.webm#t=1"},
        {"video_url": "https://example.com/watch/5"},
        {"remove_watermark": True},
        {"callback_url": "http://127.0.0.1:9/hook?sig=1"},
    ],
)
async def test_a_documented_request_is_accepted(fields):
    """The field rules let through what the page allows, unknown fields included."""
    status, _ = await create(CHARACTER | fields)

    assert status == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"timestamps": "0,9"}, "timestamps"),
        ({"timestamps": "0,2.000000001"}, "timestamps"),
        ({"timestamps": ""}, "timestamps"),
        ({"timestamps": "1,"}, "timestamps"),
        ({"timestamps": "-1,1"}, "timestamps"),
        ({"timestamps": "1e0"}, "timestamps"),
        ({"timestamps": "\u0661"}, "timestamps"),
        ({"timestamps": 1}, "timestamps"),
        ({"video_url": None}, "video_url"),
        ({"video_url": 5}, "video_url"),
        ({"video_url": "video.mp4"}, "video_url"),
        ({"video_url": "ftp://example.com/video.mp4"}, "video_url"),
        ({"video_url": "https:///video.mp4"}, "video_url"),
        ({"video_url": "https://[::1/video.mp4"}, "video_url"),
        ({"video_url": "https://example.com/video.avi"}, "video_url"),
        ({"video_url": "https://example.com/a b.mp4"}, "video_url"),
        ({"callback_url": "nowhere"}, "callback_url"),
        ({"callback_url": "https://example.com/" + "a" * 2048}, "callback_url"),
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
    ],
)
async def test_a_wrong_field_is_named(fields, param):
    """A refusal is of the integer generation and says which field it is about."""
    status, answer = await create(CHARACTER | fields)

    assert status == 400
    assert answer == {
        "error": {
            "code": 400,
            "message": f"Invalid {param} parameter",
            "type": "invalid_request_error",
            "param": param,
        }
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b'{"a":NaN}', b"\xff", b"[" * 9999])
async def test_a_body_that_is_no_object_is_refused(body):
    """What is not a JSON object gets the documented 400."""
    async with in_process(create_sandbox(STATELESS)) as vendor:
        answer = await vendor.post(CREATE, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Invalid request format"


async def test_an_unknown_model_is_not_found():
    """A name the vendor does not have is a 404 about the field `model`."""
    status, answer = await create({"model": "sora-99"})

    assert status == 404
    assert answer["error"] == {
        "code": 404,
        "message": "Specified model not found",
        "type": "not_found_error",
        "param": "model",
    }


@pytest.mark.parametrize(
    "model",
    ["sora-2", "seedance-2.0-text-to-video", "kling-o3-text-to-video", "MiniMax-Hailuo-02"],
)
async def test_other_models_are_accepted_by_name(model):
    """Their fields are not looked at."""
    status, answer = await create({"model": model, "prompt": "A quiet sea"})

    assert (status, answer["model"], answer["status"]) == (200, model, "pending")


async def test_an_alias_is_answered_with_the_model_really_used():
    """The vendor runs `veo3.1-fast` as its beta and says so."""
    _, answer = await create({"model": "veo3.1-fast", "prompt": "A quiet sea"})

    assert answer["model"] == "veo3.1-fast-beta"


async def test_some_models_answer_with_four_members_only():
    """The preview pages list no more."""
    _, answer = await create({"model": "veo-3.1-generate-preview", "prompt": "A quiet sea"})

    assert answer.keys() == {"created", "id", "model", "status"}


@pytest.mark.parametrize("given", ["", "sk-test", "Bearer", "Bearer nope", "Bearer sk-", "Basic x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", CREATE), ("GET", "/v1/tasks/task-unified-1"), ("GET", "/v1/credits")],
)
async def test_without_a_key_nothing_is_served(given, method, path):
    """Every route asks for a bearer key that looks like the vendor's."""
    async with in_process(create_sandbox(STATELESS), authorization=given) as vendor:
        answer = await vendor.request(method, path)

    assert answer.status_code == 401
    assert answer.json()["error"] == {
        "code": 401,
        "message": "Invalid or expired token",
        "type": "authentication_error",
    }


async def test_only_the_named_keys_are_known():
    """With keys given, any other is refused."""
    app = create_sandbox(SandboxOptions(stateless=True, keys=("sk-one", "sk-two")))

    async with in_process(app) as vendor:
        answers = [
            await vendor.get("/v1/models", headers={"authorization": f"Bearer {key}"})
            for key in ("sk-one", "sk-two", "sk-three")
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 401]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/videos/generations/task-unified-1"),
        ("GET", CREATE),
        ("DELETE", "/v1/tasks/task-unified-1"),
        ("GET", "/v1/tasks/"),
        ("GET", "/"),
        ("GET", "/_sandbox/journal"),
        ("POST", "/_sandbox/clock"),
    ],
)
async def test_an_unknown_path_says_so_in_json(method, path):
    """Clients look for the words `Invalid URL`; the stateless form has no controls."""
    async with in_process(create_sandbox(STATELESS)) as vendor:
        answer = await vendor.request(method, path)

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"Invalid URL ({method} {path})"
    assert answer.json()["error"]["code"] == 404


@pytest.mark.parametrize(
    ("scenario", "word"),
    [
        ("outcome:perhaps", "outcome"),
        ("wonder:yes", "wonder"),
        ("seconds:soon", "seconds"),
        ("seconds:-1", "seconds"),
        ("seconds:1e3", "seconds"),
        ("seconds:3,seconds:4", "seconds"),
        ("code:service_error", "code"),
        ("outcome:failed,message:", "message"),
        ("outcome:failed,message:" + "m" * 100, "message"),
        ("outcome:failed,code:No", "code"),
        ("outcome:never,regress", "regress"),
        ("credits:much", "credits"),
        ("status:two words", "status"),
        ("lost", "lost"),
        ("callback:sometimes", "callback"),
    ],
)
@pytest.mark.parametrize("place", ["video_url", "prompt"])
async def test_a_scenario_word_that_means_nothing_is_named(scenario, word, place):
    """A slip in a scenario is refused, not ignored."""
    if place == "video_url":
        body = character(scenario.replace(" ", "%20"))
    else:
        blank = scenario.replace(" ", "+").replace(",", " ")
        body = {"model": "sora-2", "prompt": f"A sea [sandbox {blank}]"}

    status, answer = await create(body)

    assert status == 400
    assert f"'{word}'" in answer["error"]["message"]
