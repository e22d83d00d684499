import re

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.mark.django_db
def test_admin_lets_a_user_in_and_serves_its_css() -> None:
    User.objects.create_superuser("ada", password="analytical")
    client = Client(enforce_csrf_checks=True)
    page = client.get("/admin/login/").content.decode()

    stylesheet = re.search(r'href="(/static/admin/css/base\..*\.css)"', page)
    assert stylesheet
    response = client.get(stylesheet[1])
    assert response.headers["Content-Type"] == 'text/css; charset="utf-8"'
    assert "immutable" in response.headers["Cache-Control"]
    assert b"".join(response)

    form = {"username": "ada", "password": "analytical"}
    assert client.post("/admin/login/", form).status_code == 403
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    assert client.post("/admin/login/?next=/admin/", form).headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
