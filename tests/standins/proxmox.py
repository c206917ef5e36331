"""A stand-in for the Proxmox VE API of a cluster: guests, their configuration and tasks, with the
habits of the real one that a schema does not show: 501 for a body on GET, 595 for a node that
is offline, 500 with the lock's name, and 200 meaning only that a task was made."""

import argparse
import hashlib
import json
import re
import urllib.parse

from contract import ProxmoxContract, find_contract
from standin import Response, Standin, add_arguments, serve

PREFIX = "/api2/json"
GIB = 1 << 30

DEFAULT_GUESTS = [
    {"vmid": 101, "node": "pve1", "type": "qemu", "name": "web", "status": "stopped",
     "memory": 2048},
    {"vmid": 102, "node": "pve1", "type": "qemu", "name": "db", "status": "running",
     "memory": 4096},
    {"vmid": 200, "node": "pve2", "type": "lxc", "name": "cache", "status": "running",
     "memory": 1024},
    {"vmid": 201, "node": "pve2", "type": "lxc", "name": "dns", "status": "stopped",
     "memory": 512},
]


class ApiError(Exception):
    def __init__(self, status, message, errors=None):
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors


class Proxmox(Standin):
    def __init__(self, arguments):
        super().__init__(arguments.record)
        self.token = arguments.token
        self.task_polls = arguments.task_polls
        self.nodes = {name: {"online": True, "memory_free": 16 * GIB}
                      for name in ("pve1", "pve2", "pve3")}
        self.quorate = True
        self.guests = {g["vmid"]: dict(g, hotplug="disk,network,usb") for g in DEFAULT_GUESTS}
        self.tasks = {}
        self.next_task = {}
        path = find_contract("proxmox-api.json.gz", arguments.contract)
        self.contract = ProxmoxContract(path) if path else None
        self.checked = self.contract is not None

    def control(self, order):
        if "guest" in order:
            self.guests.setdefault(order["guest"]["vmid"], {}).update(order["guest"])
        elif "node" in order:
            self.nodes[order["node"]["name"]].update(order["node"])
        elif "quorate" in order:
            self.quorate = bool(order["quorate"])
        elif "next_task" in order:  # {"exitstatus": …, "polls": n, "apply": bool}
            self.next_task = order["next_task"]
        else:
            return False
        return True

    # -- requests

    def handle(self, request):
        if request.method in ("GET", "DELETE") and request.body:
            self.violation(f"{request.method} with a body")
            return self._failure(ApiError(501, "Unexpected content for method"))
        if not request.path.startswith(PREFIX + "/"):
            return Response(404, "no such file")
        if self.token and request.headers.get("authorization") != f"PVEAPIToken={self.token}":
            return self._failure(ApiError(401, "authentication failure"))
        path = request.path[len(PREFIX):]
        fields = list(request.query)
        if request.body:
            content = request.headers.get("content-type", "").split(";")[0]
            if content != "application/x-www-form-urlencoded":
                self.violation(f"content type {content!r}")
                return self._failure(ApiError(400, "unexpected content type"))
            fields += urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True,
                                             strict_parsing=True)
        if self.contract:
            problems = self.contract.check_request(request.method, path, fields)
            for problem in problems:
                self.violation(problem)
            if problems:
                return self._failure(ApiError(400, "Parameter verification failed.",
                                              {"problems": "; ".join(problems)}))
        try:
            data = self._route(request.method, path, dict(fields))
        except ApiError as error:
            return self._failure(error)
        if self.contract:
            for problem in self.contract.check_response(request.method, path, 200, data):
                self.violation("our own answer: " + problem)
        return Response.json(200, {"data": data})

    @staticmethod
    def _failure(error):
        value = {"data": None, "message": error.message + "\n"}
        if error.errors:
            value["errors"] = error.errors
        return Response.json(error.status, value, reason=error.message.splitlines()[0][:200])

    def _route(self, method, path, fields):
        if (method, path) == ("GET", "/cluster/status"):
            return self._cluster_status()
        if (method, path) == ("GET", "/cluster/resources"):
            return [self._resource(g) for g in self.guests.values()]
        match = re.fullmatch(r"/nodes/([^/]+)(/.*)", path)
        if not match or match[1] not in self.nodes:
            raise ApiError(500, f"hostname lookup '{path}' failed - failed to get address info")
        node, rest = match[1], match[2]
        if not self.nodes[node]["online"]:
            raise ApiError(595, "No route to host")
        if method == "GET" and rest == "/status":
            return self._node_status(node)
        if method == "GET" and rest == "/tasks":
            return [self._listed(t) for t in self.tasks.values() if t["node"] == node
                    and t["polls"] > 0 and fields.get("vmid", t["id"]) == t["id"]]
        task = re.fullmatch(r"/tasks/(.+)/status", rest)
        if method == "GET" and task:
            return self._poll(task[1])
        guest = re.fullmatch(r"/(qemu|lxc)/(\d+)(/.*)", rest)
        if not guest:
            raise ApiError(501, f"Method '{method} {path}' not implemented")
        return self._guest_call(method, node, guest[1], int(guest[2]), guest[3], fields)

    def _guest_call(self, method, node, kind, vmid, rest, fields):
        guest = self.guests.get(vmid)
        if guest is None or guest["node"] != node or guest["type"] != kind:
            folder = "qemu-server" if kind == "qemu" else "lxc"
            raise ApiError(500, f"Configuration file 'nodes/{node}/{folder}/{vmid}.conf' "
                                "does not exist")
        if (method, rest) == ("GET", "/status/current"):
            return self._status(guest)
        if (method, rest) == ("GET", "/config"):
            return self._config(guest)
        if (method, rest) == ("POST", "/status/start"):
            return self._start(guest)
        if rest == "/config" and method == ("POST" if kind == "qemu" else "PUT") or \
                (rest, method, kind) == ("/config", "PUT", "qemu"):
            return self._configure(guest, fields, make_task=method == "POST")
        raise ApiError(501, f"Method '{method} {rest}' not implemented")

    # -- reading

    def _cluster_status(self):
        nodes = [{"type": "node", "id": f"node/{name}", "name": name, "nodeid": i + 1,
                  "ip": f"192.0.2.{i + 1}", "online": int(node["online"]), "local": int(i == 0),
                  "level": ""} for i, (name, node) in enumerate(self.nodes.items())]
        return [{"type": "cluster", "id": "cluster", "name": "lab", "nodes": len(nodes),
                 "quorate": int(self.quorate), "version": 3}] + nodes

    @staticmethod
    def _resource(guest):
        value = {"id": f"{guest['type']}/{guest['vmid']}", "type": guest["type"],
                 "vmid": guest["vmid"], "node": guest["node"], "name": guest["name"],
                 "status": guest["status"], "maxmem": guest["memory"] * (1 << 20),
                 "template": int(guest.get("template", 0))}
        if guest.get("lock"):
            value["lock"] = guest["lock"]
        return value

    def _node_status(self, node):
        free = self.nodes[node]["memory_free"]
        return {"boot-info": {"mode": "efi"}, "cpu": 0.1,
                "cpuinfo": {"cores": 8, "cpus": 16, "model": "virtual", "sockets": 1},
                "current-kernel": {"machine": "x86_64", "release": "6.14.8-2-pve",
                                   "sysname": "Linux", "version": "#1"},
                "loadavg": ["0.10", "0.10", "0.10"],
                "memory": {"available": free, "free": free // 2, "total": 64 * GIB,
                           "used": 64 * GIB - free},
                "pveversion": "pve-manager/9.1.1",
                "rootfs": {"avail": GIB, "free": GIB, "total": 4 * GIB, "used": 3 * GIB}}

    @staticmethod
    def _status(guest):
        value = {"vmid": guest["vmid"], "name": guest["name"], "status": guest["status"],
                 "ha": {"managed": 0}, "maxmem": guest["memory"] * (1 << 20), "cpus": 2,
                 "uptime": 100 if guest["status"] == "running" else 0}
        if guest["type"] == "lxc":
            value["type"] = "lxc"
        if guest.get("lock"):
            value["lock"] = guest["lock"]
        return value

    @staticmethod
    def _digest(guest):
        text = json.dumps({k: guest.get(k) for k in ("memory", "name", "hotplug", "lock")})
        return hashlib.sha1(text.encode()).hexdigest()

    def _config(self, guest):
        value = {"digest": self._digest(guest), "cores": 2}
        if guest["type"] == "qemu":
            value.update(name=guest["name"], memory=str(guest["memory"]),
                         hotplug=guest["hotplug"])
        else:
            value.update(hostname=guest["name"], memory=guest["memory"])
        if guest.get("lock"):
            value["lock"] = guest["lock"]
        return value

    # -- changing

    def _check_changeable(self, guest):
        if not self.quorate:
            raise ApiError(500, "cluster not ready - no quorum?")
        if guest.get("lock"):
            raise ApiError(500, f"VM is locked ({guest['lock']})")

    def _start(self, guest):
        if not self.quorate:
            raise ApiError(500, "cluster not ready - no quorum?")
        kind = "qmstart" if guest["type"] == "qemu" else "vzstart"
        exitstatus = "OK"
        if guest.get("lock"):  # As the real one: the task finds out.
            exitstatus = f"VM is locked ({guest['lock']})"
        elif guest["status"] == "running":
            exitstatus = f"VM {guest['vmid']} already running"

        def apply():
            guest["status"] = "running"

        return self._make_task(guest, kind, exitstatus, apply)

    def _configure(self, guest, fields, make_task):
        self._check_changeable(guest)
        if fields.get("digest", self._digest(guest)) != self._digest(guest):
            raise ApiError(500, "detected modified configuration - file changed by other user? "
                                "Try again.")
        memory = int(fields["memory"].removeprefix("current="))

        def apply():
            guest["memory"] = memory

        if make_task:
            return self._make_task(guest, "qmconfig", "OK", apply)
        apply()
        return None

    def _make_task(self, guest, kind, exitstatus, apply):
        order, self.next_task = self.next_task, {}
        exitstatus = order.get("exitstatus", exitstatus)
        if not order.get("apply", exitstatus == "OK" or exitstatus.startswith("WARNINGS")):
            apply = None
        number = len(self.tasks) + 1
        user = (self.token or "root@pam!vigie=").partition("=")[0]
        upid = (f"UPID:{guest['node']}:{number:08X}:00ABCDEF:65F00000:{kind}:{guest['vmid']}:"
                f"{user}:")
        self.tasks[upid] = {"upid": upid, "node": guest["node"], "type": kind, "user": user,
                            "id": str(guest["vmid"]), "exitstatus": exitstatus, "apply": apply,
                            "polls": order.get("polls", self.task_polls), "pid": number}
        if self.tasks[upid]["polls"] == 0:
            self._end(self.tasks[upid])
        return upid

    @staticmethod
    def _end(task):
        task["polls"] = 0
        if task["apply"]:
            task["apply"]()
            task["apply"] = None

    @staticmethod
    def _listed(task):
        return {"upid": task["upid"], "node": task["node"], "type": task["type"],
                "id": task["id"], "user": task["user"], "pid": task["pid"], "pstart": 1,
                "starttime": 1710000000}

    def _poll(self, upid):
        task = self.tasks.get(upid)
        if task is None:
            raise ApiError(400, "Parameter verification failed.", {"upid": "no such task"})
        value = dict(self._listed(task), status="running")
        if task["polls"] > 0:
            task["polls"] -= 1
            if task["polls"] == 0:
                self._end(task)
            return value
        return dict(value, status="stopped", exitstatus=task["exitstatus"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--token", help="require this token: USER@REALM!TOKENID=UUID")
    parser.add_argument("--contract", help="proxmox-api.json.gz")
    parser.add_argument("--task-polls", type=int, default=2, help="polls until a task ends")
    arguments = parser.parse_args()
    serve(Proxmox(arguments), arguments)


if __name__ == "__main__":
    main()
