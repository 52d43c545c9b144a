"""The real Keystone on a free port of loopback, at `/` and at `/identity`: the two places where installations have it.

Prints the port. Then reads orders from stdin, one per line, and answers each with a line: so a test can change users
without a second way in, and nothing is left running when the test is gone.
"""

import logging
import os
import sys
import threading
import uuid
import warnings

# What it says at its start is about libraries that will go away one day, and would hide what a failed start says.
warnings.simplefilter("ignore")

directory = os.environ["LAB_DIRECTORY"]
config = f"{directory}/keystone.conf"
with open(config, "w", encoding="utf-8") as file:
    file.write(f"""\
[DEFAULT]
use_stderr = false
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.sqlite
[auth]
methods = password,token,totp,application_credential
[identity]
# Four rounds of bcrypt, the fewest there are: a test that logs in thirty times wants to see Keystone, not bcrypt.
password_hash_rounds = 4
[token]
expiration = {os.environ["LAB_TOKEN_SECONDS"]}
[fernet_tokens]
key_repository = {directory}/tokens
[fernet_receipts]
key_repository = {directory}/receipts
[credential]
key_repository = {directory}/credentials
""")

import keystone.conf
from keystone.auth.plugins import totp
from keystone.cmd.bootstrap import Bootstrapper
from keystone.common import fernet_utils, provider_api
from keystone.common.sql import upgrades
from keystone.server import backends
from keystone.server.flask import core
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

CONF = keystone.conf.CONF
PROVIDERS = provider_api.ProviderAPIs


def prepare():
    """What `keystone-manage db_sync`, `fernet_setup`, `receipt_setup` and `credential_setup` do."""
    logging.disable(logging.CRITICAL)
    # It has an uncaught exception logged; a failed start is to be read on stderr.
    sys.excepthook = sys.__excepthook__
    upgrades.offline_sync_database_to_version()
    for name in ("fernet_tokens", "fernet_receipts", "credential"):
        group = getattr(CONF, name)
        keys = fernet_utils.FernetUtils(group.key_repository, getattr(group, "max_active_keys", 3), name)
        keys.create_key_directory()
        keys.initialize_key_repository()


def bootstrap():
    """What `keystone-manage bootstrap` does."""
    # The application has loaded the backends, which can be done once.
    backends.load_backends = dict
    it = Bootstrapper()
    it.admin_username, it.admin_password = "admin", uuid.uuid4().hex
    it.project_name, it.admin_role_name, it.service_name = "admin", "admin", "keystone"
    it.region_id, it.public_url = uuid.uuid4().hex, "http://127.0.0.1/identity"
    it.bootstrap()
    return it


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *arguments):
        pass


class Orders:
    """Each method is an order; its arguments are words, and so is what it returns."""

    def user(self, name, password, project):
        identity, resource = PROVIDERS.identity_api, PROVIDERS.resource_api
        domain = admin.default_domain_id
        user = identity.create_user({"name": name, "password": password, "domain_id": domain, "enabled": True})
        made = {"id": uuid.uuid4().hex, "name": project, "domain_id": domain, "enabled": True}
        resource.create_project(made["id"], made)
        PROVIDERS.assignment_api.add_role_to_user_and_project(user["id"], made["id"], admin.member_role_id)

    def credential(self, name, project, secret):
        made = {
            "id": uuid.uuid4().hex,
            "name": uuid.uuid4().hex,
            "secret": secret,
            "user_id": self._user(name)["id"],
            "project_id": PROVIDERS.resource_api.get_project_by_name(project, admin.default_domain_id)["id"],
            "roles": [{"id": admin.member_role_id}],
            "unrestricted": False,
        }
        PROVIDERS.application_credential_api.create_application_credential(made)
        return made["id"]

    def forget(self, credential):
        PROVIDERS.application_credential_api.delete_application_credential(credential)

    def enable(self, name):
        self._update(name, enabled=True)

    def disable(self, name):
        self._update(name, enabled=False)

    def totp(self, name, seed):
        made = {"id": uuid.uuid4().hex, "user_id": self._user(name)["id"], "type": "totp", "blob": seed}
        PROVIDERS.credential_api.create_credential(made["id"], made)
        self.factors(name, "password,totp")

    def code(self, seed):
        return totp._generate_totp_passcodes(seed.encode(), 0)[0]

    def factors(self, name, *rules):
        options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [rule.split(",") for rule in rules]}
        self._update(name, options=options)

    def _user(self, name):
        return PROVIDERS.identity_api.get_user_by_name(name, admin.default_domain_id)

    def _update(self, name, **changes):
        PROVIDERS.identity_api.update_user(self._user(name)["id"], changes)


application = core.initialize_application("public", prepare, [config])
with application.test_request_context():
    admin = bootstrap()
server = make_server(
    "127.0.0.1", 0, DispatcherMiddleware(application, {"/identity": application}), True, request_handler=Quiet
)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
for line in sys.stdin:
    order, *words = line.split()
    with application.test_request_context():
        print(getattr(Orders(), order)(*words) or "done", flush=True)
