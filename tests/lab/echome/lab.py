"""The identity stack of ecHome, with the settings that its source has, on a free port of loopback.

Prints the port. Then reads commands from stdin, one per line, and answers each with a line: so a test can change users
without a second way in, and nothing is left running when the test is gone.
"""

import os
import sys
import threading
from datetime import timedelta

import django
from django.conf import settings

blacklist = os.environ.get("LAB_BLACKLIST") == "1"

settings.configure(
    SECRET_KEY="only-for-tests-" * 4,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    APPEND_SLASH=False,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"]
    + (["rest_framework_simplejwt.token_blacklist"] if blacklist else []),
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["LAB_DATABASE"],
            "OPTIONS": {"timeout": 20},
        }
    },
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]},
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(seconds=float(os.environ.get("LAB_ACCESS_SECONDS", "3600"))),
        "REFRESH_TOKEN_LIFETIME": timedelta(seconds=float(os.environ.get("LAB_REFRESH_SECONDS", "86400"))),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "ALGORITHM": "HS256",
        "AUTH_HEADER_TYPES": ("Bearer",),
    },
)
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.urls import path
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView, TokenVerifyView


class Machines(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"success": True, "details": "", "results": []})


urlpatterns = [
    path("api/v1/identity/token", TokenObtainPairView.as_view()),
    path("api/v1/identity/token/refresh", TokenRefreshView.as_view()),
    path("api/v1/identity/token/verify", TokenVerifyView.as_view()),
    path("api/v1/vm/vm/describe/all", Machines.as_view()),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


def obey(command, *arguments):
    if command == "user":
        User.objects.create_user(arguments[0], password=arguments[1])
    elif command in ("enable", "disable"):
        User.objects.filter(username=arguments[0]).update(is_active=command == "enable")
    else:
        raise ValueError(command)


call_command("migrate", verbosity=0)
server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
server.daemon_threads = True
server.set_app(get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
for line in sys.stdin:
    obey(*line.split())
    print("done", flush=True)
