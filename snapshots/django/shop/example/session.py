from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View

from ..forms import JSONTextField, read_json
from ..problems import ProblemResponse, invalid


class VisitorForm(forms.Form):
    name = JSONTextField(max_length=100)


class Session(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        form = VisitorForm(read_json(request))
        if not form.is_valid():
            return invalid("body", form.errors)
        request.session.cycle_key()
        request.session["name"] = form.cleaned_data["name"]
        return JsonResponse({"name": request.session["name"]}, status=201)

    def get(self, request: HttpRequest) -> HttpResponse:
        if "name" not in request.session:
            return ProblemResponse(401, "there is no session")
        return JsonResponse({"name": request.session["name"]})

    def delete(self, request: HttpRequest) -> HttpResponse:
        request.session.flush()
        return HttpResponse(status=204)
