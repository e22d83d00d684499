import os

from django.core.wsgi import get_wsgi_application

from .body import measure_body

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

application = measure_body(get_wsgi_application())
