"""Speaks to a container runtime as the kubelet does: gRPC calls of CRI, and the streams that some of them lead to.

Reads requests from standard input, one a line: ["METHOD", {FIELD: VALUE, ...}]; prints ["ok", ANSWER] or ["error", TEXT].
METHOD is one of runtime.v1.RuntimeService, or Stream: then a further call's address is read from as far as it goes.
Messages are only what is used of api.proto of Kubernetes' cri-api, by the fields' numbers.
"""

import base64, json, os, socket, struct, sys, urllib.parse
import grpc

# A field is (number, kind): an int, a str, bytes, a wrapped integer, a list of a kind, a map of texts, or a message.
INT, TEXT, WRAPPED, MAP = "int", "text", "wrapped", "map"
NAMESPACES = {"network": (1, INT), "pid": (2, INT), "ipc": (3, INT), "target_id": (4, TEXT)}
RESOURCES = {"cpu_period": (1, INT), "cpu_quota": (2, INT), "cpu_shares": (3, INT), "memory_limit_in_bytes": (4, INT), "oom_score_adj": (5, INT)}
METADATA = {"name": (1, TEXT), "uid": (2, TEXT), "namespace": (3, TEXT), "attempt": (4, INT)}
POD = {
    "metadata": (1, METADATA), "hostname": (2, TEXT), "log_directory": (3, TEXT),
    "linux": (8, {"cgroup_parent": (1, TEXT), "security_context": (2, {"namespace_options": (1, NAMESPACES)}), "sysctls": (3, MAP)}),
}
SECURITY = {
    "capabilities": (1, {"add_capabilities": (1, [TEXT]), "drop_capabilities": (2, [TEXT])}), "privileged": (2, INT),
    "namespace_options": (3, NAMESPACES), "run_as_user": (5, WRAPPED), "run_as_group": (12, WRAPPED), "readonly_rootfs": (7, INT),
    "supplemental_groups": (8, [INT]), "no_new_privs": (11, INT), "masked_paths": (13, [TEXT]), "readonly_paths": (14, [TEXT]),
    "seccomp": (15, {"profile_type": (1, INT)}),
}
CONTAINER = {
    "metadata": (1, {"name": (1, TEXT), "attempt": (2, INT)}), "image": (2, {"image": (1, TEXT)}), "command": (3, [TEXT]),
    "args": (4, [TEXT]), "working_dir": (5, TEXT), "envs": (6, [{"key": (1, TEXT), "value": (2, TEXT)}]),
    "mounts": (7, [{"container_path": (1, TEXT), "host_path": (2, TEXT), "readonly": (3, INT), "propagation": (5, INT)}]),
    "log_path": (11, TEXT), "stdin": (12, INT), "stdin_once": (13, INT), "tty": (14, INT),
    "linux": (15, {"resources": (1, RESOURCES), "security_context": (2, SECURITY)}),
}
OF_POD, OF_CONTAINER = {"pod_sandbox_id": (1, TEXT)}, {"container_id": (1, TEXT)}
USAGE = {"timestamp": (1, INT), "amount": (2, WRAPPED)}
ADDRESS = {"url": (1, TEXT)}
CALLS = {
    "Version": ({}, {"version": (1, TEXT), "runtime_name": (2, TEXT), "runtime_api_version": (4, TEXT)}),
    "RunPodSandbox": ({"config": (1, POD), "runtime_handler": (2, TEXT)}, OF_POD),
    "StopPodSandbox": (OF_POD, {}),
    "RemovePodSandbox": (OF_POD, {}),
    "PodSandboxStatus": (OF_POD, {"status": (1, {"state": (3, INT), "network": (5, {"ip": (1, TEXT)}), "runtime_handler": (9, TEXT)})}),
    "ListPodSandbox": ({}, {"items": (1, [{"id": (1, TEXT)}])}),
    "CreateContainer": ({**OF_POD, "config": (2, CONTAINER), "sandbox_config": (3, POD)}, OF_CONTAINER),
    "StartContainer": (OF_CONTAINER, {}),
    "StopContainer": ({**OF_CONTAINER, "timeout": (2, INT)}, {}),
    "RemoveContainer": (OF_CONTAINER, {}),
    "ContainerStatus": (OF_CONTAINER, {"status": (1, {"state": (3, INT), "exit_code": (7, INT), "reason": (10, TEXT)})}),
    "ListContainers": ({}, {"containers": (1, [{"id": (1, TEXT)}])}),
    "ContainerStats": (OF_CONTAINER, {"stats": (1, {"cpu": (2, USAGE), "memory": (3, USAGE)})}),
    "UpdateContainerResources": ({**OF_CONTAINER, "linux": (2, RESOURCES)}, {}),
    "ExecSync": ({**OF_CONTAINER, "cmd": (2, [TEXT]), "timeout": (3, INT)}, {"stdout": (1, TEXT), "stderr": (2, TEXT), "exit_code": (3, INT)}),
    "Exec": ({**OF_CONTAINER, "cmd": (2, [TEXT]), "tty": (3, INT), "stdin": (4, INT), "stdout": (5, INT), "stderr": (6, INT)}, ADDRESS),
    "PortForward": ({**OF_POD, "port": (2, [INT])}, ADDRESS),
}


def varint(value):
    value, out = value & (1 << 64) - 1, b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def one(number, kind, value):
    if kind == INT:
        return varint(number << 3) + varint(int(value))
    if kind == MAP:
        return b"".join(one(number, {"key": (1, TEXT), "value": (2, TEXT)}, {"key": k, "value": v}) for k, v in value.items())
    if kind == WRAPPED:
        kind, value = {"value": (1, INT)}, {"value": value}
    data = value.encode() if kind == TEXT else encode(kind, value)
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(message, value):
    out = b""
    for name, inner in value.items():
        number, kind = message[name]
        for item in inner if isinstance(kind, list) else [inner]:
            out += one(number, kind[0] if isinstance(kind, list) else kind, item)
    return out


def number_at(data, at):
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def decode(message, data):
    known = {number: (name, kind) for name, (number, kind) in message.items()}
    empty = {INT: 0, TEXT: "", WRAPPED: 0}
    out = {name: [] if isinstance(kind, list) else {} if isinstance(kind, dict) else empty[kind] for name, (_, kind) in message.items()}
    at = 0
    while at < len(data):
        tag, at = number_at(data, at)
        if tag & 7 == 0:
            value, at = number_at(data, at)
        else:
            length, at = number_at(data, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            value, at = data[at:at + length], at + length
        if tag >> 3 not in known:
            continue
        name, kind = known[tag >> 3]
        inner = kind[0] if isinstance(kind, list) else kind
        if inner == TEXT:
            value = value.decode(errors="replace")
        elif inner == WRAPPED:
            value = decode({"value": (1, INT)}, value)["value"]
        elif inner != INT:
            value = decode(inner, value)
        if isinstance(kind, list):
            out[name].append(value)
        else:
            out[name] = value
    return out


def stream(url, protocol, channel, head, sent):
    """What each channel of a WebSocket (RFC 6455) says, after `sent` went to `channel`, until it says no more."""
    place = urllib.parse.urlparse(url)
    connection = socket.create_connection((place.hostname, place.port), 20)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {place.path}?{place.query} HTTP/1.1", f"Host: {place.netloc}", "Connection: Upgrade", "Upgrade: websocket",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {protocol}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    file = connection.makefile("rb")
    status = file.readline().decode()
    if " 101 " not in status:
        raise OSError(f"no stream: {status}")
    while file.readline().strip():
        pass
    said = {}
    if sent:
        data = bytes([channel]) + sent.encode()
        assert len(data) < 126
        connection.sendall(bytes([0x82, 0x80 | len(data), 0, 0, 0, 0]) + data)
    while True:
        two = file.read(2)
        if len(two) < 2 or two[0] & 15 == 8:
            break
        length = two[1] & 127
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(file.read(size), "big")
        data = file.read(length)
        if two[0] & 15 in (0, 1, 2) and data:
            said.setdefault(data[0], bytearray()).extend(data[1:])
    # Each channel of a port begins with its number.
    return {str(channel): bytes(data[head:]).decode(errors="replace") for channel, data in said.items()}


def main(path):
    # Also where a message says that there is a proxy.
    channel = grpc.insecure_channel(f"unix:{path}", options=[("grpc.enable_http_proxy", 0)])
    same = lambda data: data
    for line in sys.stdin:
        method, request = json.loads(line)
        try:
            if method == "Stream":
                answer = stream(**request)
            else:
                asked, answered = CALLS[method]
                call = channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", request_serializer=same, response_deserializer=same)
                answer = decode(answered, call(encode(asked, request), timeout=40, wait_for_ready=True))
            said = ["ok", answer]
        except grpc.RpcError as error:
            said = ["error", error.details()]
        except OSError as error:
            said = ["error", str(error)]
        print(json.dumps(said), flush=True)


main(sys.argv[1])
