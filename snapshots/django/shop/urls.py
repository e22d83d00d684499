from django.contrib import admin
from django.urls import include, path

from . import health
from .features import APPS

urlpatterns = [
    path("", health.root),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
    *(path("", include(f"{app}.urls")) for app in APPS),
]

handler400 = "shop.problems.bad_request"
handler403 = "shop.problems.forbidden"
handler404 = "shop.problems.not_found"
handler500 = "shop.problems.server_error"
